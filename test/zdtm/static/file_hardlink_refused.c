// SPDX-License-Identifier: GPL-2.0-only
/* The same without --link-remap: criu must refuse it. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	struct stat st;
	int fd;

	test_init(argc, argv);
	fd = make_file("first", 1000, 1, O_RDWR);
	SYS(link("first", "second"));
	SYS(unlink("first"));
	test_daemon();
	test_waitsig();
	CHECK(!fstat(fd, &st) && st.st_nlink == 1, "%lu links", st.st_nlink);
	pass();
}
