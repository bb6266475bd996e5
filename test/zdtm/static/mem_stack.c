// SPDX-License-Identifier: GPL-2.0-only
/* The stack: deep frames stay, and it still grows. */
#include "zdtm.h"

static int deep(int depth, int seed)
{
	volatile char frame[3000];
	int below;

	fill((void *)frame, sizeof(frame), seed + depth);
	below = depth ? deep(depth - 1, seed) : 0;
	if (depth == 0 && seed == 1) {
		test_daemon();
		test_waitsig();
		/* half a mebibyte further down than ever before */
		below = deep(200, 1000);
	}
	if (seed == 1 && depth == 70)
		SABOTAGE(frame[99] ^= 1);
	CHECK(differs((void *)frame, sizeof(frame), seed + depth) < 0,
	      "the frame at depth %d differs", depth);
	return below + 1;
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	CHECK(deep(100, 1) == 302, "the recursion has lost its way");
	pass();
}
