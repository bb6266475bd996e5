// SPDX-License-Identifier: GPL-2.0-only
/* no_new_privs of the task and of its child: one has it, one has not. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	pid_t pid;

	test_init(argc, argv);
	pid = test_fork();
	if (!pid) {
		test_waitsig();
		CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0, "the child has no_new_privs");
		_exit(0);
	}
	SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(kill(pid, SIGKILL));
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no_new_privs is lost");
	test_end(pid);
	pass();
}
