// SPDX-License-Identifier: GPL-2.0-only
/* Discards pages right after the restore, missing ones and such that came: they are zero, and old contents never come back. */
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
	for (i = 0; i < NR; i += 32) {
		if (i % 64)
			check_page(mem, i);
		SYS(madvise(mem + i * PAGE, 16 * PAGE, MADV_DONTNEED));
		mem[(i + 1) * PAGE] = 'w';
	}
	SABOTAGE(mem[2 * PAGE] = 1);
	for (k = 0; k < 3; k++) {
		for (i = 0; i < NR; i++) {
			char *p = mem + i * PAGE;

			if (i % 32 >= 16)
				check_page(mem, i);
			else if (i % 32 == 1)
				CHECK(p[0] == 'w' && is_zero(p + 1, PAGE - 1),
				      "written page %lu has old contents", i);
			else
				CHECK(is_zero(p, PAGE), "discarded page %lu has old contents", i);
		}
		sleep_ms(40);
	}
	pass();
}
