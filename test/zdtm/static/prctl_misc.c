// SPDX-License-Identifier: GPL-2.0-only
/* What prctl sets: death signal (of a child: the root's parent does change), dumpable, child subreaper, huge pages disabled, timer slack aside. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int sig = 0, reaper = 0;
	struct gate g;
	pid_t pid;

	test_init(argc, argv);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		SYS(prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0));
		gate_open(&g);
		test_waitsig();
		SABOTAGE(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
		prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0);
		CHECK(sig == SIGUSR2, "the death signal is %d", sig);
		_exit(0);
	}
	gate_wait(&g);
	SYS(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	SYS(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	test_daemon();
	test_waitsig();
	test_end(pid);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0, "dumpable is %d",
	      prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	CHECK(reaper == 1, "no subreaper any more");
	CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1, "huge pages are enabled again");
	pass();
}
