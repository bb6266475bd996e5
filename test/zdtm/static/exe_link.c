// SPDX-License-Identifier: GPL-2.0-only
/* /proc/self/exe of a task that runs a copy of the program which has other names since. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[256] = "", want[256], cwd[200];
	ssize_t n;

	if (argc == 1) {
		char cmd[600];

		n = SYS(readlink("/proc/self/exe", buf, sizeof(buf) - 1));
		snprintf(cmd, sizeof(cmd), "cp %.*s first-name", (int)n, buf);
		if (system(cmd))
			die("%s", cmd);
		execl("./first-name", "first-name", "again", NULL);
		die("cannot run the copy");
	}
	test_init(argc, argv);
	SYS(rename("first-name", "second name"));
	if (!getcwd(cwd, sizeof(cwd)))
		die("getcwd");
	snprintf(want, sizeof(want), "%s/second name", cwd);
	test_daemon();
	test_waitsig();
	SABOTAGE(want[1] = 'x');
	n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);
	buf[n < 0 ? 0 : n] = 0;
	CHECK(!strcmp(buf, want), "/proc/self/exe is %s, not %s", buf, want);
	pass();
}
