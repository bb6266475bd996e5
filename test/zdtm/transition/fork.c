// SPDX-License-Identifier: GPL-2.0-only
/* Forks all the time: each child has its part of the parent's memory and its own, and its exit code arrives. */
#include "zdtm.h"

#define LEN (64 * PAGE)

int main(int argc, char **argv)
{
	uint64_t n = 0;
	char *mem;

	test_init(argc, argv);
	mem = map_anon(LEN, false);
	fill(mem, LEN, 1);
	test_daemon();
	do {
		pid_t a = SYS(fork()), b;
		int status;

		if (!a) {
			fill(mem, LEN / 2, n);
			_exit(differs(mem, LEN / 2, n) >= 0 ? 99 : n % 50);
		}
		b = SYS(fork());
		if (!b)
			_exit(differs(mem, LEN, 1) >= 0 ? 99 : 7);
		SABOTAGE(mem[5]++);
		status = test_wait(a);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (int)(n % 50),
		      "round %lu: the first child's status is %#x", n, status);
		status = test_wait(b);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7,
		      "round %lu: the second child's status is %#x", n, status);
		CHECK(differs(mem, LEN, 1) < 0, "round %lu: the parent's memory differs", n);
		n++;
	} while (test_go() || n < 3);
	pass();
}
