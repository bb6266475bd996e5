// SPDX-License-Identifier: GPL-2.0-only
/* Transparent huge pages, and one that was split by a protection in its middle. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char *room, *mem;

	test_init(argc, argv);
	room = map_anon(10 * MIB, false);
	mem = (char *)(((unsigned long)room + 2 * MIB - 1) & ~(2 * MIB - 1));
	SYS(madvise(mem, 6 * MIB, MADV_HUGEPAGE));
	fill(mem, 6 * MIB, 1);
	SYS(mprotect(mem + 3 * MIB, PAGE, PROT_READ));
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[4 * MIB + 77] ^= 1);
	CHECK(differs(mem, 6 * MIB, 1) < 0, "it differs at %zd", differs(mem, 6 * MIB, 1));
	pass();
}
