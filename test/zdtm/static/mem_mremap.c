// SPDX-License-Identifier: GPL-2.0-only
/* Memory that was moved, grown and shrunk before. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char *a, *b, *hole;

	test_init(argc, argv);
	a = map_anon(16 * PAGE, false);
	fill(a, 16 * PAGE, 1);
	hole = map_anon(64 * PAGE, false);
	a = mremap(a, 16 * PAGE, 32 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hole + 8 * PAGE);
	b = map_anon(16 * PAGE, true);
	fill(b, 16 * PAGE, 2);
	b = mremap(b + 4 * PAGE, 8 * PAGE, 4 * PAGE, 0);
	if (a == MAP_FAILED || b == MAP_FAILED)
		die("mremap");
	test_daemon();
	test_waitsig();
	SABOTAGE(a[0] ^= 1);
	CHECK(differs(a, 16 * PAGE, 1) < 0 && !a[20 * PAGE], "the private area differs");
	fill(hole, PAGE, 9);
	CHECK(differs(b - 4 * PAGE, 8 * PAGE, 2) < 0, "the shared area differs");
	a = mremap(a, 32 * PAGE, 32 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   map_anon(32 * PAGE, false));
	CHECK(a != MAP_FAILED && differs(a, 16 * PAGE, 1) < 0, "it cannot be moved again");
	pass();
}
