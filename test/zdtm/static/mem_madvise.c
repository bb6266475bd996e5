// SPDX-License-Identifier: GPL-2.0-only
/* What madvise() has set: not in forks, not in dumps, huge pages, merging, wiped in forks, access pattern. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	static const struct {
		int advice;
		const char *flag;
	} cases[] = { { MADV_DONTFORK, "dc" },	{ MADV_DONTDUMP, "dd" },
		      { MADV_HUGEPAGE, "hg" },	{ MADV_NOHUGEPAGE, "nh" },
		      { MADV_MERGEABLE, "mg" }, { MADV_SEQUENTIAL, "sr" },
		      { MADV_RANDOM, "rr" },	{ MADV_WIPEONFORK, "wf" } };
	char *area[ARRAY_LEN(cases)], flags[256];
	unsigned i;

	test_init(argc, argv);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		area[i] = map_anon(8 * PAGE, false);
		fill(area[i], 8 * PAGE, i);
		if (madvise(area[i], 8 * PAGE, cases[i].advice))
			note("no %s here", cases[i].flag);
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(madvise(area[1], PAGE, MADV_DODUMP));
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK(smaps_value(area[i], "VmFlags", flags, sizeof(flags)) &&
			      strstr(flags, cases[i].flag),
		      "%s is not among the flags %s", cases[i].flag, flags);
		CHECK(differs(area[i], 8 * PAGE, i) < 0, "the contents of area %s differ",
		      cases[i].flag);
	}
	pass();
}
