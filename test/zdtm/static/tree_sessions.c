// SPDX-License-Identifier: GPL-2.0-only
/* Sessions: children born before and after setsid(), leaders deeper in the tree. */
#include "zdtm.h"

struct place {
	pid_t pid, sid, pgid;
};

static void sit(struct gate *g, struct place *me)
{
	me->pid = getpid();
	me->sid = getsid(0);
	me->pgid = getpgid(0);
	gate_open(g);
	test_waitsig();
	if (getsid(0) != me->sid || getpgid(0) != me->pgid)
		fail("task %d: session %d was %d, group %d was %d", me->pid, getsid(0), me->sid,
		     getpgid(0), me->pgid);
}

int main(int argc, char **argv)
{
	struct gate g, g2;
	struct place *p;
	pid_t a, b;
	pid_t before, after;

	test_init(argc, argv);
	p = map_anon(PAGE, true);
	gate_init(&g);
	a = test_fork();
	if (!a) { /* has a child of the old session, then leads a new one, and has a child of that */
		gate_init(&g2);
		before = test_fork();
		if (!before) {
			sit(&g2, &p[0]);
			_exit(0);
		}
		gate_wait(&g2);
		SYS(setsid());
		gate_init(&g2);
		after = test_fork();
		if (!after) {
			sit(&g2, &p[1]);
			_exit(0);
		}
		gate_wait(&g2);
		sit(&g, &p[2]);
		test_end(before);
		test_end(after);
		_exit(0);
	}
	gate_wait(&g);
	gate_init(&g);
	b = test_fork();
	if (!b) {
		SYS(setsid());
		sit(&g, &p[3]);
		_exit(0);
	}
	gate_wait(&g);
	if (p[0].sid != getsid(0) || p[1].sid != a || p[2].sid != a || p[3].sid != b)
		die("sessions are not as planned");
	test_daemon();
	test_waitsig();
	SABOTAGE(p[1].sid++);
	CHECK(getsid(p[0].pid) == getsid(0) && getsid(p[1].pid) == a && getsid(b) == b,
	      "sessions are %d %d %d", getsid(p[0].pid), getsid(p[1].pid), getsid(b));
	test_end(a);
	test_end(b);
	pass();
}
