// SPDX-License-Identifier: GPL-2.0-only
/* What prctl sets: death signal, dumpable, child subreaper, huge pages disabled, timer slack aside. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int sig = 0, reaper = 0;

	test_init(argc, argv);
	SYS(prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0));
	SYS(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	SYS(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
	prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0);
	CHECK(sig == SIGUSR2, "the death signal is %d", sig);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0, "dumpable is %d",
	      prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	CHECK(reaper == 1, "no subreaper any more");
	CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1, "huge pages are enabled again");
	pass();
}
