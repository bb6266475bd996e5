// SPDX-License-Identifier: GPL-2.0-only
/* An unlinked file that still has another name: with --link-remap it is found by a temporary link, which is gone afterwards. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	struct stat a, b;
	int fd;

	test_init(argc, argv);
	fd = make_file("first", 1000, 1, O_RDWR);
	SYS(link("first", "second"));
	SYS(unlink("first"));
	test_daemon();
	test_waitsig();
	SABOTAGE(rename("second", "third"));
	CHECK(!fstat(fd, &a) && !stat("second", &b), "stat");
	CHECK(a.st_ino == b.st_ino && a.st_nlink == 1, "inode %lu with %lu links, was %lu",
	      a.st_ino, a.st_nlink, b.st_ino);
	CHECK(access("first", F_OK), "the removed name is there again");
	pass();
}
