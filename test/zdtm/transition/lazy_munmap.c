// SPDX-License-Identifier: GPL-2.0-only
/* Unmaps right after the restore, in pieces, and maps new memory there: it is zero and stays zero. */
#include "zdtm.h"

#define NR 8192UL /* pages: 32 MiB, long enough on their way */

int main(int argc, char **argv)
{
	unsigned long i, k;
	char *mem;

	test_init(argc, argv);
	mem = map_numbered(NR);
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
				CHECK(is_zero(mem + i * PAGE, PAGE), "new page %lu is not zero", i);
			else
				check_page(mem, i);
		sleep_ms(50);
	}
	pass();
}
