// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parent and child stand at different depths of what was one stack, and each has written to frames of both: neither may find the other's
 * bytes. (With lazy pages the tops of stacks are restored at once, the rest later.)
 */
#include "zdtm.h"

#include <alloca.h>

#define FRAMES 12UL

/* DEPTH frames of a page each, every one marked; the innermost waits. */
static void __attribute__((noinline)) stand(unsigned long depth, int mark, struct gate *g)
{
	volatile char *frame = alloca(PAGE);
	unsigned long i;

	for (i = 0; i < PAGE; i += 64)
		frame[i] = mark + depth;
	if (depth) {
		stand(depth - 1, mark, g);
	} else {
		if (g)
			gate_open(g);
		else
			test_daemon();
		test_waitsig();
	}
	for (i = 0; i < PAGE; i += 64)
		CHECK(frame[i] == (char)(mark + depth), "frame %lu of %s holds %d instead of %lu",
		      depth, g ? "the child" : "the parent", frame[i], mark + depth);
}

int main(int argc, char **argv)
{
	struct gate g;
	pid_t pid;

	test_init(argc, argv);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		stand(FRAMES, 100, &g);
		_exit(0);
	}
	gate_wait(&g);
	stand(3, 10, NULL);
	SABOTAGE(fail("sabotaged"));
	test_end(pid);
	pass();
}
