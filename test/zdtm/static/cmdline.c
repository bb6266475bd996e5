// SPDX-License-Identifier: GPL-2.0-only
/* The command line as the kernel shows it: written over in place, and moved elsewhere with PR_SET_MM. */
#include "zdtm.h"

static size_t get(char *buf, size_t len)
{
	int fd = open("/proc/self/cmdline", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, len);

	if (n < 0)
		fail("no /proc/self/cmdline");
	close(fd);
	return n;
}

int main(int argc, char **argv)
{
	char before[4096], after[4096];
	size_t n, m;

	test_init(argc, argv);
	memset(argv[0], 'Z', strlen(argv[0]));
	n = get(before, sizeof(before));
	if (!n || before[0] != 'Z')
		die("the command line is not what was written");
	test_daemon();
	test_waitsig();
	SABOTAGE(argv[0][0] = 'Y');
	m = get(after, sizeof(after));
	CHECK(n == m && !memcmp(before, after, n), "it is %.*s", (int)m, after);
	pass();
}
