// SPDX-License-Identifier: GPL-2.0-only
/* O_PATH descriptors of a file and a directory. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int file, dir, fd;
	char path[64], buf[8];

	test_init(argc, argv);
	SYS(mkdir("dir", 0755));
	close(make_file("dir/file", 100, 1, O_RDONLY));
	file = SYS(open("dir/file", O_PATH));
	dir = SYS(open("dir", O_PATH | O_DIRECTORY));
	test_daemon();
	test_waitsig();
	SABOTAGE(dup2(0, file));
	CHECK(read(file, buf, 8) == -1 && errno == EBADF, "the file can be read");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, 8) == 8 && differs(buf, 8, 1) < 0,
	      "it does not lead to the file");
	fd = openat(dir, "file", O_RDONLY);
	CHECK(fd >= 0, "the directory does not lead to the file");
	CHECK(fcntl(file, F_GETFL) & O_PATH, "O_PATH is lost");
	pass();
}
