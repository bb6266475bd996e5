// SPDX-License-Identifier: GPL-2.0-only
/* Pages that were never touched, only read, or written with zeros read as zero; the never touched ones are still not there. */
#include "zdtm.h"

#define NR 4096UL

int main(int argc, char **argv)
{
	volatile char *never, *only_read, *written;
	unsigned long i, present = 0;

	test_init(argc, argv);
	never = map_anon(NR * PAGE, false);
	only_read = map_anon(NR * PAGE, false);
	written = map_anon(NR * PAGE, false);
	for (i = 0; i < NR; i++) {
		if (only_read[i * PAGE])
			die("not zero");
		written[i * PAGE] = 0;
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(written[77 * PAGE + 77] = 1);
	for (i = 0; i < NR; i += 16)
		present += page_present((void *)(never + i * PAGE));
	CHECK(present == 0, "%lu untouched pages have become present", present);
	for (i = 0; i < NR; i++)
		CHECK(!never[i * PAGE + i % PAGE] && !only_read[i * PAGE + i % PAGE] &&
			      !written[i * PAGE + i % PAGE],
		      "page %lu is not zero", i);
	never[5 * PAGE] = only_read[6 * PAGE] = 3;
	CHECK(never[5 * PAGE] == 3 && only_read[6 * PAGE] == 3, "cannot be written");
	pass();
}
