// SPDX-License-Identifier: GPL-2.0-only
/* Locked memory stays locked; what is not, is not. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char *a, *b, *c, *d, flags[4][256];

	test_init(argc, argv);
	a = map_anon(4 * PAGE, false);
	b = map_anon(4 * PAGE, false);
	c = map_anon(4 * PAGE, true);
	SYS(mprotect(b, PAGE, PROT_READ)); /* no merging of a and b */
	SYS(mlock(a, 4 * PAGE));
	SYS(mlock(c, 4 * PAGE));
	d = map_anon(64 * PAGE, false);
	fill(d, PAGE, 3);
	SYS(mlock2(d, 64 * PAGE, MLOCK_ONFAULT));
	fill(a, 4 * PAGE, 1);
	test_daemon();
	test_waitsig();
	SABOTAGE(munlock(a, PAGE));
	CHECK(smaps_value(a, "VmFlags", flags[0], 256) && strstr(flags[0], " lo"),
	      "a is not locked: %s", flags[0]);
	CHECK(smaps_value(b, "VmFlags", flags[1], 256) && !strstr(flags[1], " lo"),
	      "b is locked: %s", flags[1]);
	CHECK(smaps_value(c, "VmFlags", flags[2], 256) && strstr(flags[2], " lo"),
	      "c is not locked: %s", flags[2]);
	CHECK(smaps_value(d, "VmFlags", flags[3], 256) && strstr(flags[3], " lf"),
	      "d is not locked page by page: %s", flags[3]);
	CHECK(smaps_value(d, "Rss", flags[3], 256) && strtoul(flags[3], NULL, 10) <= 4,
	      "more of d is there than was: %s", flags[3]);
	CHECK(differs(d, PAGE, 3) < 0, "the contents of d differ");
	CHECK(differs(a, 4 * PAGE, 1) < 0, "the contents differ");
	pass();
}
