// SPDX-License-Identifier: GPL-2.0-only
/* Three thousand mappings with alternating protection. */
#include "zdtm.h"

#define NR 3000UL

int main(int argc, char **argv)
{
	unsigned long i, areas = 0;
	char *mem, line[512];
	FILE *f;

	test_init(argc, argv);
	mem = map_anon(NR * PAGE, false);
	for (i = 0; i < NR; i++) {
		if (i % 5)
			fill(mem + i * PAGE, PAGE, i);
		if (i % 2)
			SYS(mprotect(mem + i * PAGE, PAGE, PROT_READ));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[1002 * PAGE + 1] ^= 1);
	for (i = 0; i < NR; i++)
		if (i % 5)
			CHECK(differs(mem + i * PAGE, PAGE, i) < 0, "page %lu differs", i);
		else
			CHECK(!mem[i * PAGE], "page %lu is not zero", i);
	f = fopen("/proc/self/maps", "r");
	CHECK(f, "no /proc/self/maps");
	while (fgets(line, sizeof(line), f)) {
		char *addr = (char *)strtoul(line, NULL, 16);

		areas += addr >= mem && addr < mem + NR * PAGE;
	}
	CHECK(areas == NR, "%lu areas, were %lu", areas, NR);
	pass();
}
