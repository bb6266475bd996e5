// SPDX-License-Identifier: GPL-2.0-only
/* The heap's end: contents, position, and it can be moved in both directions. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char *start, *end;

	test_init(argc, argv);
	free(*(void *volatile *)&(void *){ malloc(100) }); /* the lib's own part of the heap */
	start = sbrk(0);
	SYS(sbrk(300 * PAGE + 123));
	end = sbrk(0);
	fill(start, end - start, 3);
	test_daemon();
	test_waitsig();
	SABOTAGE(brk(end - PAGE));
	CHECK(sbrk(0) == end, "the end is %p, was %p", sbrk(0), end);
	CHECK(differs(start, end - start, 3) < 0, "the heap differs at %zd",
	      differs(start, end - start, 3));
	CHECK(!brk(end + 100 * PAGE) && sbrk(0) == end + 100 * PAGE, "it does not grow");
	memset(end, 1, 100 * PAGE);
	CHECK(!brk(start + PAGE) && sbrk(0) == start + PAGE, "it does not shrink");
	CHECK(differs(start, PAGE, 3) < 0, "the first page differs");
	pass();
}
