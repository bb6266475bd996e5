// SPDX-License-Identifier: GPL-2.0-only
/* Directories: position while reading them, and openat() from them. */
#include "zdtm.h"

#include <dirent.h>

int main(int argc, char **argv)
{
	char name[32], seen[60] = "";
	int i, got = 0, fd;
	struct dirent *e;
	DIR *d;

	test_init(argc, argv);
	SYS(mkdir("dir", 0755));
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "dir/entry%d", i);
		close(SYS(open(name, O_CREAT | O_RDWR, 0644)));
	}
	fd = SYS(open("dir", O_RDONLY | O_DIRECTORY));
	d = opendir("dir");
	if (!d)
		die("opendir");
	for (i = 0; i < 20; i++) {
		long buf[16]; /* a few entries at a time, so that the position matters */
		int n = syscall(SYS_getdents64, fd, buf, sizeof(buf));

		if (n > 0 && i == 5)
			break;
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(lseek(fd, 0, SEEK_SET));
	for (;;) {
		char buf[4096];
		int n = syscall(SYS_getdents64, fd, buf, sizeof(buf)), at;

		CHECK(n >= 0, "getdents");
		if (!n)
			break;
		for (at = 0; at < n; at += *(unsigned short *)(buf + at + 16))
			got++;
	}
	CHECK(got > 0 && got < 50, "%d entries are left of 52", got);
	while ((e = readdir(d)))
		if (sscanf(e->d_name, "entry%d", &i) == 1)
			seen[i] = 1;
	CHECK(!memchr(seen, 0, 50), "entry %ld was not read", (char *)memchr(seen, 0, 50) - seen);
	CHECK(openat(fd, "entry7", O_RDONLY) >= 0, "openat");
	pass();
}
