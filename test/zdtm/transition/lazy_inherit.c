// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stack pages that differ between parent and child, the parent's being used at once (its stack's top) while the child's come
 * later: the child must never see the parent's.
 */
#include "zdtm.h"

static void sit_deep(struct gate *g, int seed)
{
	char frame[16 * PAGE];

	fill(frame, sizeof(frame), seed);
	gate_open(g);
	test_waitsig();
	SABOTAGE(frame[sizeof(frame) - 100] ^= 1);
	CHECK(differs(frame, sizeof(frame), seed) < 0, "the stack of child %d differs at %zd", seed,
	      differs(frame, sizeof(frame), seed));
}

static void at_depth(int depth)
{
	char room[700];
	struct gate g;
	pid_t pid;

	fill(room, sizeof(room), depth);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		sit_deep(&g, depth);
		_exit(0);
	}
	gate_wait(&g);
	if (depth) {
		at_depth(depth - 1);
	} else {
		test_daemon();
		test_waitsig();
	}
	CHECK(differs(room, sizeof(room), depth) < 0, "the parent's stack differs at depth %d",
	      depth);
	test_end(pid);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	at_depth(8);
	pass();
}
