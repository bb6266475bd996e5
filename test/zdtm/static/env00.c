// SPDX-License-Identifier: GPL-2.0-only
/* The environment, changed at run time and as the kernel sees it. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char before[4096], after[4096];
	ssize_t n, m;
	int fd;

	test_init(argc, argv);
	SYS(setenv("ZDTM_COLOUR", "green and blue", 1));
	fd = SYS(open("/proc/self/environ", O_RDONLY));
	n = SYS(read(fd, before, sizeof(before)));
	close(fd);
	test_daemon();
	test_waitsig();
	SABOTAGE(setenv("ZDTM_COLOUR", "red", 1));
	CHECK(getenv("ZDTM_COLOUR") && !strcmp(getenv("ZDTM_COLOUR"), "green and blue"),
	      "the variable is %s", getenv("ZDTM_COLOUR"));
	fd = open("/proc/self/environ", O_RDONLY);
	CHECK(fd >= 0, "no /proc/self/environ");
	m = read(fd, after, sizeof(after));
	CHECK(m == n && !memcmp(before, after, n), "/proc/self/environ was %zd bytes, is %zd", n,
	      m);
	pass();
}
