// SPDX-License-Identifier: GPL-2.0-only
/* Files that could not be opened again by the task: no permission any more. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[8];
	int fd;

	test_init(argc, argv);
	SYS(mkdir("closed", 0755));
	fd = make_file("closed/file", 100, 1, O_RDWR);
	SYS(chmod("closed/file", 0));
	SYS(chmod("closed", 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(close(fd));
	CHECK(pread(fd, buf, 8, 0) == 8 && differs(buf, 8, 1) < 0, "it cannot be read");
	CHECK(pwrite(fd, "x", 1, 50) == 1, "it cannot be written");
	pass();
}
