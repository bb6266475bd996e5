// SPDX-License-Identifier: GPL-2.0-only
/* Process groups: own ones, one shared by siblings, one whose leader has died. */
#include "zdtm.h"

static pid_t child(pid_t group)
{
	struct gate g;
	pid_t pid;

	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		pid_t mine;

		SYS(setpgid(0, group));
		mine = getpgid(0);
		gate_open(&g);
		test_waitsig();
		if (getpgid(0) != mine)
			fail("task %d: group %d, was %d", getpid(), getpgid(0), mine);
		_exit(0);
	}
	gate_wait(&g);
	return pid;
}

int main(int argc, char **argv)
{
	pid_t leader, member, dead, orphaned;

	test_init(argc, argv);
	leader = child(0);
	member = child(leader);
	dead = child(0);
	orphaned = child(dead);
	test_end(dead);
	test_daemon();
	test_waitsig();
	SABOTAGE(setpgid(member, member));
	CHECK(getpgid(leader) == leader, "the leader's group is %d", getpgid(leader));
	CHECK(getpgid(member) == leader, "the member's group is %d", getpgid(member));
	CHECK(getpgid(orphaned) == dead, "the group without leader is %d, was %d",
	      getpgid(orphaned), dead);
	CHECK(kill(-dead, 0) == 0, "no group %d", dead);
	test_end(leader);
	test_end(member);
	test_end(orphaned);
	pass();
}
