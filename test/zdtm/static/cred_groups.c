// SPDX-License-Identifier: GPL-2.0-only
/* Supplementary groups, many of them. */
#include "zdtm.h"

#include <grp.h>

#define NR 200

int main(int argc, char **argv)
{
	gid_t groups[NR], now[NR + 1];
	int i, n;

	test_init(argc, argv);
	for (i = 0; i < NR; i++)
		groups[i] = 1000 + i * 17;
	SYS(setgroups(NR, groups));
	test_daemon();
	test_waitsig();
	SABOTAGE(setgroups(NR - 1, groups));
	n = getgroups(NR + 1, now);
	CHECK(n == NR, "%d groups, not %d", n, NR);
	for (i = 0; i < NR; i++)
		CHECK(now[i] == groups[i], "group %d is %u, was %u", i, now[i], groups[i]);
	pass();
}
