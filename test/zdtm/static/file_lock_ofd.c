// SPDX-License-Identifier: GPL-2.0-only
/* File locks by OFD: a description's, of a part of the file. */
#include "stories.h"

static int lock(int fd, bool on)
{
	struct flock l = {
		.l_type = on ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 50
	};

	return fcntl(fd, F_OFD_SETLK, &l);
}

int main(int argc, char **argv)
{
	file_lock_is_kept(argc, argv, lock);
}
