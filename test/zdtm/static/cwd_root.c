// SPDX-License-Identifier: GPL-2.0-only
/* Working directory and root directory of a child that lives in a chroot. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[256], want[256];
	struct gate g;
	struct stat st;
	pid_t pid;

	test_init(argc, argv);
	SYS(mkdir("jail", 0755));
	SYS(mkdir("jail/inside", 0755));
	SYS(mkdir("elsewhere", 0755));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		SYS(chroot("jail"));
		SYS(chdir("/inside"));
		gate_open(&g);
		test_waitsig();
		CHECK(getcwd(buf, sizeof(buf)) && !strcmp(buf, "/inside"), "the child's cwd is %s",
		      buf);
		CHECK(!access("/inside", F_OK) && access("/proc", F_OK),
		      "the child's root is another");
		_exit(0);
	}
	gate_wait(&g);
	SYS(chdir("elsewhere"));
	if (!getcwd(want, sizeof(want)))
		die("getcwd");
	test_daemon();
	test_waitsig();
	SABOTAGE(chdir(".."));
	CHECK(getcwd(buf, sizeof(buf)) && !strcmp(buf, want), "cwd is %s, was %s", buf, want);
	CHECK(!stat("/proc/self", &st), "the root is another");
	test_end(pid);
	pass();
}
