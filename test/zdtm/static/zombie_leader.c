// SPDX-License-Identifier: GPL-2.0-only
/* Zombies that led a session and a group with members alive. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	siginfo_t info;
	struct gate g;
	pid_t *p, leader, member;

	test_init(argc, argv);
	SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	p = map_anon(PAGE, true);
	gate_init(&g);
	leader = test_fork();
	if (!leader) {
		SYS(setsid());
		member = test_fork();
		if (!member) {
			p[2] = getsid(0);
			gate_open(&g);
			test_waitsig();
			CHECK(getsid(0) == p[2] && getpgid(0) == p[2],
			      "session %d, group %d, were %d", getsid(0), getpgid(0), p[2]);
			_exit(0);
		}
		p[1] = member;
		_exit(5);
	}
	gate_wait(&g);
	SYS(waitid(P_PID, leader, &info, WEXITED | WNOWAIT));
	test_daemon();
	test_waitsig();
	SABOTAGE(p[2] = 0);
	test_end(p[1]);
	CHECK(WEXITSTATUS(test_wait(leader)) == 5, "the zombie leader's status is another");
	pass();
}
