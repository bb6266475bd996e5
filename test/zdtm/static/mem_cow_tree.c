// SPDX-License-Identifier: GPL-2.0-only
/* Three generations; each has changed some pages, and remapped or unmapped others. */
#include "zdtm.h"

#define NR 64UL
static char *mem;

static void check(const char *who, int mine)
{
	unsigned long i;

	for (i = 0; i < NR; i++) {
		/* generation G rewrote the pages from 8 * G on, in all up to its own */
		unsigned long writer = i / 8 <= (unsigned long)mine ? i / 8 : 0;

		if (mine == 2 && i == 60)
			continue;
		CHECK(differs(mem + i * PAGE, PAGE, writer * 1000 + i) < 0, "%s: page %lu differs",
		      who, i);
	}
}

static void rewrite(unsigned long generation)
{
	unsigned long i;

	for (i = generation * 8; i < generation * 8 + 8; i++)
		fill(mem + i * PAGE, PAGE, generation * 1000 + i);
}

int main(int argc, char **argv)
{
	struct gate g, g2;
	pid_t a, b;

	test_init(argc, argv);
	mem = map_numbered(NR);
	gate_init(&g);
	a = test_fork();
	if (!a) {
		rewrite(1);
		gate_init(&g2);
		b = test_fork();
		if (!b) {
			rewrite(2);
			SYS(munmap(mem + 60 * PAGE, PAGE));
			gate_open(&g2);
			test_waitsig();
			check("the grandchild", 2);
			CHECK(msync(mem + 60 * PAGE, PAGE, MS_ASYNC) && errno == ENOMEM,
			      "what the grandchild unmapped is there");
			_exit(0);
		}
		gate_wait(&g2);
		gate_open(&g);
		test_waitsig();
		check("the child", 1);
		test_end(b);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[9 * PAGE]++);
	check("the parent", 0);
	test_end(a);
	pass();
}
