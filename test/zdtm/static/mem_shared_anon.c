// SPDX-License-Identifier: GPL-2.0-only
/* Shared anonymous memory of three processes, mapped whole and in part, with holes; and one that only the child has. */
#include "zdtm.h"

#define NR 64UL

int main(int argc, char **argv)
{
	char *mem, *tail;
	struct gate g;
	pid_t pid[2];
	int i;

	test_init(argc, argv);
	mem = map_anon(NR * PAGE, true);
	fill(mem, 8 * PAGE, 1);
	fill(mem + 40 * PAGE, PAGE, 2);
	for (i = 0; i < 2; i++) {
		gate_init(&g);
		pid[i] = test_fork();
		if (!pid[i]) {
			char *own = map_anon(4 * PAGE, true);

			fill(own, 4 * PAGE, 70 + i);
			if (i) { /* only the end of it */
				SYS(munmap(mem, 40 * PAGE));
				tail = mem + 40 * PAGE;
			} else {
				tail = mremap(mem + 40 * PAGE, 24 * PAGE, 24 * PAGE,
					      MREMAP_MAYMOVE | MREMAP_FIXED,
					      map_anon(24 * PAGE, false));
				if (tail == MAP_FAILED)
					die("mremap");
			}
			gate_open(&g);
			test_waitsig();
			CHECK(differs(tail, PAGE, 2) < 0, "child %d: the shared page differs", i);
			CHECK(differs(own, 4 * PAGE, 70 + i) < 0,
			      "child %d: its own shared memory differs", i);
			fill(tail + (1 + i) * PAGE, PAGE, 10 + i);
			_exit(0);
		}
		gate_wait(&g);
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[5] ^= 1);
	CHECK(differs(mem, 8 * PAGE, 1) < 0, "it differs at %zd", differs(mem, 8 * PAGE, 1));
	for (i = 0; i < 2; i++) {
		test_end(pid[i]);
		CHECK(differs(mem + (41 + i) * PAGE, PAGE, 10 + i) < 0,
		      "what child %d wrote does not show", i);
	}
	CHECK(!mem[50 * PAGE] && !mem[20 * PAGE], "holes are not zero");
	pass();
}
