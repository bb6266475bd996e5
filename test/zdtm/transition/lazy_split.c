// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many small areas, one after the other, are split by mprotect, touched in an order in which their parts would get reverse maps of their own, if the area had none,
 * and joined again: then each must be one area, that can be moved.
 */
#include "zdtm.h"

#define AREAS 300UL
#define PAGES 80UL

static char *mem, *target;

static char *area(unsigned long i)
{
	return mem + i * (PAGES + 1) * PAGE;
}

static void verify(unsigned long i, char *a, unsigned long page)
{
	CHECK(differs(a + page * PAGE, PAGE, i * PAGES + page + 1) < 0, "area %lu page %lu differs",
	      i, page);
}

static void move(unsigned long i, char *from, char *to)
{
	CHECK(mremap(from, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to,
	      "area %lu has become several: mremap", i);
}

static void split_and_join(unsigned long i)
{
	char *middle = area(i) + PAGES / 2 * PAGE;

	SYS(mprotect(middle, PAGE, PROT_READ));
	verify(i, area(i), 0);
	verify(i, area(i), PAGES - 1);
	SYS(mprotect(middle, PAGE, PROT_READ | PROT_WRITE));
	move(i, area(i), target);
	move(i, target, area(i));
}

int main(int argc, char **argv)
{
	unsigned long i, k, n = 0;

	test_init(argc, argv);
	mem = map_anon(AREAS * (PAGES + 1) * PAGE, false);
	for (i = 0; i < AREAS; i++) {
		for (k = 0; k < PAGES; k++)
			fill(area(i) + k * PAGE, PAGE, i * PAGES + k + 1);
		SYS(munmap(area(i) + PAGES * PAGE, PAGE));
	}
	target = map_anon(PAGES * PAGE, false);
	test_daemon();
	/* backwards: the pages come from the front */
	do
		split_and_join(AREAS - 1 - n++ % AREAS);
	while (test_go() || n < 200);
	SABOTAGE(mem[0] ^= 1);
	for (i = 0; i < AREAS; i++)
		for (k = 0; k < PAGES; k++)
			verify(i, area(i), k);
	pass();
}
