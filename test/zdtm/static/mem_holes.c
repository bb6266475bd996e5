// SPDX-License-Identifier: GPL-2.0-only
/* 64 MiB with random runs of touched and untouched pages; every byte is verified. */
#include "zdtm.h"

#define NR 16384UL

int main(int argc, char **argv)
{
	uint64_t state = 4711;
	unsigned char *touched;
	unsigned long i;
	char *mem, zero[PAGE] = "";

	test_init(argc, argv);
	mem = map_anon(NR * PAGE, false);
	touched = map_anon(NR, false);
	for (i = 0; i < NR; i++) {
		touched[i] = i && next_random(&state) % 5 ? touched[i - 1]
							  : next_random(&state) % 2;
		if (touched[i])
			fill(mem + i * PAGE, PAGE, i);
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[NR / 2 * PAGE + 9] ^= 1);
	for (i = 0; i < NR; i++)
		if (touched[i])
			CHECK(differs(mem + i * PAGE, PAGE, i) < 0, "page %lu differs at %zd", i,
			      differs(mem + i * PAGE, PAGE, i));
		else
			CHECK(!memcmp(mem + i * PAGE, zero, PAGE), "hole %lu is not zero", i);
	pass();
}
