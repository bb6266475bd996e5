// SPDX-License-Identifier: GPL-2.0-only
/* Sixteen GiB that are reserved but hardly used: neither read nor stored. */
#include "zdtm.h"

#define LEN (16UL << 30)

int main(int argc, char **argv)
{
	unsigned long i;
	char *mem;

	test_init(argc, argv);
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	SYS(madvise(mem, LEN,
		    MADV_NOHUGEPAGE)); /* which would come whole, where they come unasked */
	for (i = 0; i < 64; i++)
		fill(mem + i * (LEN / 64) + i * PAGE, PAGE, i);
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[LEN / 64 + PAGE] ^= 1);
	for (i = 0; i < 64; i++) {
		char *p = mem + i * (LEN / 64) + i * PAGE;

		CHECK(differs(p, PAGE, i) < 0, "page %lu differs", i);
		CHECK(!page_present(p + PAGE), "the page behind page %lu is present", i);
	}
	pass();
}
