// SPDX-License-Identifier: GPL-2.0-only
/* File locks by flock(): a description's. */
#include "stories.h"

#include <sys/file.h>

static int lock(int fd, bool on)
{
	return flock(fd, on ? LOCK_EX | LOCK_NB : LOCK_UN);
}

int main(int argc, char **argv)
{
	file_lock_is_kept(argc, argv, lock);
}
