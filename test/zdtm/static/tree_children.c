// SPDX-License-Identifier: GPL-2.0-only
/* A tree three deep, four wide: parents, children and their order. */
#include "zdtm.h"

static pid_t pids[4];

static void grow(int depth)
{
	struct gate g;
	int i;

	for (i = 0; depth && i < 4; i++) {
		gate_init(&g);
		pids[i] = test_fork();
		if (!pids[i]) {
			pid_t parent = getppid();

			grow(depth - 1);
			gate_open(&g);
			test_waitsig();
			if (getppid() != parent)
				fail("the parent is %d, was %d", getppid(), parent);
			for (i = 0; depth > 1 && i < 4; i++)
				test_end(pids[i]);
			_exit(0);
		}
		gate_wait(&g);
	}
}

int main(int argc, char **argv)
{
	int i;

	test_init(argc, argv);
	grow(3);
	test_daemon();
	test_waitsig();
	SABOTAGE(kill(pids[2], SIGKILL));
	for (i = 0; i < 4; i++)
		test_end(pids[i]);
	CHECK(waitpid(-1, NULL, 0) == -1, "there are other children");
	pass();
}
