// SPDX-License-Identifier: GPL-2.0-only
/* 64 MiB of random contents in two processes, half of it shared copy-on-write. */
#include "zdtm.h"

#define LEN (64 * MIB)

int main(int argc, char **argv)
{
	struct gate g;
	char *mem;
	pid_t pid;

	test_init(argc, argv);
	mem = map_anon(LEN, false);
	fill(mem, LEN, 1);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		fill(mem, LEN / 2, 2);
		gate_open(&g);
		test_waitsig();
		CHECK(differs(mem, LEN / 2, 2) < 0, "the child's memory differs at %zd",
		      differs(mem, LEN / 2, 2));
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[LEN - 5] ^= 1);
	CHECK(differs(mem, LEN, 1) < 0, "the memory differs at %zd", differs(mem, LEN, 1));
	test_end(pid);
	pass();
}
