// SPDX-License-Identifier: GPL-2.0-only
/* Sixty children, each with memory of its own. */
#include "zdtm.h"

#define NR 60

int main(int argc, char **argv)
{
	pid_t pids[NR];
	char *mem;
	int i;

	test_init(argc, argv);
	mem = map_anon(16 * PAGE, false);
	for (i = 0; i < NR; i++) {
		struct gate g;

		gate_init(&g);
		pids[i] = test_fork();
		if (!pids[i]) {
			fill(mem, 16 * PAGE, i);
			gate_open(&g);
			test_waitsig();
			SABOTAGE(mem[i * 7] ^= i == 33);
			CHECK(differs(mem, 16 * PAGE, i) < 0, "memory of child %d differs at %zd",
			      i, differs(mem, 16 * PAGE, i));
			_exit(0);
		}
		gate_wait(&g);
	}
	test_daemon();
	test_waitsig();
	for (i = 0; i < NR; i++)
		test_end(pids[i]);
	pass();
}
