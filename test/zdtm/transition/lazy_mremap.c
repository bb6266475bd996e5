// SPDX-License-Identifier: GPL-2.0-only
/* Moves memory right after the restore, whole, in part, over other missing pages, shrinking and growing. */
#include "zdtm.h"

#define NR 8192UL /* pages: 32 MiB, long enough on their way */

int main(int argc, char **argv)
{
	char *a, *b, *target;
	unsigned long i;

	test_init(argc, argv);
	a = map_anon(NR * PAGE, false);
	b = map_anon(NR * PAGE, false);
	for (i = 0; i < NR; i++) {
		fill(a + i * PAGE, PAGE, i);
		fill(b + i * PAGE, PAGE, 50000 + i);
	}
	target = map_anon(2 * NR * PAGE, false);
	test_daemon();
	test_waitsig();
	/* the second half of a, out of its middle */
	CHECK(mremap(a + NR / 2 * PAGE, NR / 2 * PAGE, NR / 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     target) == target,
	      "mremap");
	/* the first quarter of b over its last */
	CHECK(mremap(b, NR / 4 * PAGE, NR / 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     b + 3 * NR / 4 * PAGE) != MAP_FAILED,
	      "mremap");
	/* grows in its new place */
	CHECK(mremap(target + (NR / 2 - 16) * PAGE, 16 * PAGE, 32 * PAGE,
		     MREMAP_MAYMOVE | MREMAP_FIXED, target + NR * PAGE) != MAP_FAILED,
	      "mremap");
	SABOTAGE(target[5 * PAGE]++);
	for (i = 0; i < NR / 2 - 16; i++)
		CHECK(differs(target + i * PAGE, PAGE, NR / 2 + i) < 0, "moved page %lu differs",
		      i);
	for (i = 0; i < 16; i++)
		CHECK(differs(target + (NR + i) * PAGE, PAGE, NR - 16 + i) < 0,
		      "twice moved page %lu differs", i);
	for (i = 16; i < 32; i++)
		CHECK(!target[(NR + i) * PAGE], "the grown part is not zero");
	for (i = 0; i < NR / 4; i++)
		CHECK(differs(b + (3 * NR / 4 + i) * PAGE, PAGE, 50000 + i) < 0,
		      "page %lu moved over others differs", i);
	for (i = NR / 4; i < 3 * NR / 4; i++)
		CHECK(differs(b + i * PAGE, PAGE, 50000 + i) < 0, "page %lu that stayed differs",
		      i);
	for (i = 0; i < NR / 2; i++)
		CHECK(differs(a + i * PAGE, PAGE, i) < 0, "page %lu of the first half differs", i);
	pass();
}
