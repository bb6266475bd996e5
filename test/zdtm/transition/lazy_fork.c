// SPDX-License-Identifier: GPL-2.0-only
/* Forks right after the restore: parent, child and grandchild verify all pages, each writes its own. */
#include "zdtm.h"

#define NR 8192UL /* pages: 32 MiB, long enough on their way */

static char *mem;

static void check(const char *who, uint64_t own)
{
	unsigned long i;

	for (i = 0; i < NR; i++) {
		uint64_t seed = own && i % 64 == own ? own * 100000 + i : i;

		CHECK(differs(mem + i * PAGE, PAGE, seed) < 0, "%s: page %lu differs", who, i);
	}
}

static void write_own(uint64_t own)
{
	unsigned long i;

	for (i = own; i < NR; i += 64)
		fill(mem + i * PAGE, PAGE, own * 100000 + i);
}

int main(int argc, char **argv)
{
	unsigned long i;
	pid_t a, b;

	test_init(argc, argv);
	mem = map_numbered(NR);
	test_daemon();
	test_waitsig();
	a = SYS(fork());
	if (!a) {
		write_own(1);
		b = SYS(fork());
		if (!b) {
			for (i = 1; i < NR; i += 64)
				fill(mem + i * PAGE, PAGE, i);
			write_own(2);
			check("the grandchild", 2);
			_exit(0);
		}
		check("the child", 1);
		_exit(test_wait(b) ? 1 : 0);
	}
	write_own(3);
	SABOTAGE(mem[NR / 2 * PAGE]++);
	check("the parent", 3);
	CHECK(!test_wait(a), "the child failed");
	pass();
}
