// SPDX-License-Identifier: GPL-2.0-only
/* Scheduling policies: batch and idle, and as root FIFO and round robin with a priority. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	static const struct {
		int policy, prio;
	} cases[] = { { SCHED_BATCH, 0 }, { SCHED_IDLE, 0 }, { SCHED_FIFO, 7 }, { SCHED_RR, 3 } };
	int i, nr = geteuid() ? 2 : 4;
	struct sched_param param;
	struct gate g;
	pid_t pid[4];

	test_init(argc, argv);
	for (i = 0; i < nr; i++) {
		gate_init(&g);
		pid[i] = test_fork();
		if (!pid[i]) {
			param.sched_priority = cases[i].prio;
			SYS(sched_setscheduler(0, cases[i].policy, &param));
			gate_open(&g);
			test_waitsig();
			_exit(0);
		}
		gate_wait(&g);
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(param.sched_priority = 0; sched_setscheduler(pid[1], SCHED_OTHER, &param));
	for (i = 0; i < nr; i++) {
		CHECK(sched_getscheduler(pid[i]) == cases[i].policy, "policy %d is %d",
		      cases[i].policy, sched_getscheduler(pid[i]));
		CHECK(!sched_getparam(pid[i], &param) && param.sched_priority == cases[i].prio,
		      "priority of policy %d is %d", cases[i].policy, param.sched_priority);
		test_end(pid[i]);
	}
	pass();
}
