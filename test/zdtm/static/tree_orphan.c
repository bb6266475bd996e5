// SPDX-License-Identifier: GPL-2.0-only
/* A daemon of the double-fork kind: its parent is gone, the root (a subreaper) has it now, with session and group of the dead. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	pid_t *p, middle, orphan;
	struct gate g;

	test_init(argc, argv);
	SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	p = map_anon(PAGE, true);
	p[2] = getpid();
	gate_init(&g);
	middle = test_fork();
	if (!middle) {
		SYS(setsid());
		orphan = test_fork();
		if (!orphan) {
			while (getppid() != p[2])
				sleep_ms(1);
			gate_open(&g);
			test_waitsig();
			CHECK(getppid() == p[2], "the orphan's parent is %d, not %d", getppid(),
			      p[2]);
			CHECK(getsid(0) == p[1] && getpgid(0) == p[1],
			      "the orphan's session is %d, group %d, were %d", getsid(0),
			      getpgid(0), p[1]);
			_exit(0);
		}
		p[0] = orphan;
		_exit(0);
	}
	p[1] = middle;
	test_wait(middle);
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(p[1] = 1);
	test_end(p[0]);
	pass();
}
