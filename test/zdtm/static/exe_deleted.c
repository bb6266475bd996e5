// SPDX-License-Identifier: GPL-2.0-only
/* The program's file is unlinked while it runs. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[256] = "";
	struct stat st;
	ssize_t n;

	if (argc == 1) {
		char cmd[600];

		n = SYS(readlink("/proc/self/exe", buf, sizeof(buf) - 1));
		snprintf(cmd, sizeof(cmd), "cp %.*s copy", (int)n, buf);
		if (system(cmd))
			die("%s", cmd);
		execl("./copy", "copy", "again", NULL);
		die("cannot run the copy");
	}
	test_init(argc, argv);
	SYS(unlink("copy"));
	test_daemon();
	test_waitsig();
	SABOTAGE(close(SYS(open("copy", O_CREAT, 0755))));
	n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);
	CHECK(n > 10 && strstr(buf, "/copy (deleted)"), "/proc/self/exe is %s", buf);
	CHECK(stat("copy", &st) && errno == ENOENT, "the file has a name again");
	pass();
}
