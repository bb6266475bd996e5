// SPDX-License-Identifier: GPL-2.0-only
/* The working directory is removed. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[256] = "";

	test_init(argc, argv);
	SYS(mkdir("gone", 0755));
	SYS(chdir("gone"));
	SYS(rmdir("../gone"));
	test_daemon();
	test_waitsig();
	SABOTAGE(chdir("/"));
	CHECK(readlink("/proc/self/cwd", buf, sizeof(buf)) > 0 && strstr(buf, "/gone (deleted)"),
	      "cwd is %s", buf);
	CHECK(open("file", O_CREAT | O_RDWR, 0600) < 0 && errno == ENOENT,
	      "the directory is there again");
	pass();
}
