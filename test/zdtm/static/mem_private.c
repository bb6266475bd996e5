// SPDX-License-Identifier: GPL-2.0-only
/* Private anonymous memory: areas of many sizes and protections, some touched in part. */
#include "zdtm.h"

#define NR 24

int main(int argc, char **argv)
{
	char *area[NR];
	size_t len;
	int i;

	test_init(argc, argv);
	for (i = 0; i < NR; i++) {
		len = (i * i + 1) * PAGE;
		area[i] = map_anon(len + PAGE, false);
		fill(area[i], len, i);
		SYS(mprotect(area[i], len,
			     i % 3 == 0	  ? PROT_READ
			     : i % 3 == 1 ? PROT_READ | PROT_WRITE
					  : PROT_READ | PROT_WRITE | PROT_EXEC));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(area[10][0] ^= 1);
	for (i = 0; i < NR; i++) {
		len = (i * i + 1) * PAGE;
		CHECK(differs(area[i], len, i) < 0, "area %d differs at %zd", i,
		      differs(area[i], len, i));
		CHECK(!area[i][len] && !area[i][len + PAGE - 1],
		      "the untouched page behind area %d is not zero", i);
	}
	pass();
}
