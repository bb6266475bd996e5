// SPDX-License-Identifier: GPL-2.0-only
/* Character devices. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	static const char *const names[] = { "/dev/null", "/dev/zero", "/dev/random",
					     "/dev/urandom", "/dev/full" };
	int fd[ARRAY_LEN(names)];
	struct stat st[ARRAY_LEN(names)], now;
	char c[8] = "x";
	unsigned i;

	test_init(argc, argv);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		fd[i] = SYS(open(names[i], O_RDWR));
		SYS(fstat(fd[i], &st[i]));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(dup2(fd[0], fd[1]));
	for (i = 0; i < ARRAY_LEN(names); i++)
		CHECK(!fstat(fd[i], &now) && now.st_rdev == st[i].st_rdev, "%s is another device",
		      names[i]);
	CHECK(read(fd[0], c, 1) == 0 && read(fd[1], c, 1) == 1 && !c[0] && read(fd[3], c, 8) == 8,
	      "reading");
	CHECK(write(fd[4], "x", 1) == -1 && errno == ENOSPC, "/dev/full takes a byte");
	pass();
}
