// SPDX-License-Identifier: GPL-2.0-only
/* Unmaps right after the restore, in pieces, and maps new memory there: it is zero and stays zero. */
#include "zdtm.h"

#define NR 8192UL /* pages: 32 MiB, long enough on their way */

int main(int argc, char **argv)
{
	unsigned long i, k;
	char *mem;

	test_init(argc, argv);
	mem = map_anon(NR * PAGE, false);
	for (i = 0; i < NR; i++)
		fill(mem + i * PAGE, PAGE, i);
	test_daemon();
	test_waitsig();
	for (i = 0; i < NR; i += 128) {
		SYS(munmap(mem + i * PAGE, 64 * PAGE));
		CHECK(mmap(mem + i * PAGE, 64 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == mem + i * PAGE,
		      "mmap");
	}
	SABOTAGE(mem[64 * PAGE]++);
	for (k = 0; k < 2; k++) {
		for (i = 0; i < NR; i++)
			if (i % 128 < 64)
				CHECK(!mem[i * PAGE] &&
					      !memcmp(mem + i * PAGE, mem + i * PAGE + 1, PAGE - 1),
				      "new page %lu is not zero", i);
			else
				CHECK(differs(mem + i * PAGE, PAGE, i) < 0, "page %lu differs", i);
		sleep_ms(50);
	}
	pass();
}
