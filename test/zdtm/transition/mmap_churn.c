// SPDX-License-Identifier: GPL-2.0-only
/* Maps, unmaps, moves, protects and discards at random, and knows what must be where. */
#include "zdtm.h"

#define SLOTS 64
#define PAGES 32UL

static struct {
	char *mem;
	uint64_t seed[PAGES]; /* 0: zero page */
} slots[SLOTS];

static void verify(int s)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++) {
		char *page = slots[s].mem + i * PAGE;

		if (slots[s].seed[i])
			CHECK(differs(page, PAGE, slots[s].seed[i]) < 0, "slot %d page %lu differs",
			      s, i);
		else
			CHECK(is_zero(page, PAGE), "slot %d page %lu is not zero", s, i);
	}
}

int main(int argc, char **argv)
{
	uint64_t seed = 11, n = 0;
	unsigned long page;
	char *to;
	int s;

	test_init(argc, argv);
	for (s = 0; s < SLOTS; s++)
		slots[s].mem = map_anon(PAGES * PAGE, false);
	test_daemon();
	do {
		s = next_random(&seed) % SLOTS;
		page = next_random(&seed) % PAGES;
		switch (next_random(&seed) % 6) {
		case 0:
			verify(s);
			SYS(munmap(slots[s].mem, PAGES * PAGE));
			slots[s].mem = map_anon(PAGES * PAGE, false);
			memset(slots[s].seed, 0, sizeof(slots[s].seed));
			break;
		case 1:
			to = map_anon(PAGES * PAGE, false);
			slots[s].mem = mremap(slots[s].mem, PAGES * PAGE, PAGES * PAGE,
					      MREMAP_MAYMOVE | MREMAP_FIXED, to);
			CHECK(slots[s].mem == to, "mremap");
			verify(s);
			break;
		case 2:
			SYS(madvise(slots[s].mem + page * PAGE, PAGE, MADV_DONTNEED));
			slots[s].seed[page] = 0;
			break;
		case 3:
			SYS(mprotect(slots[s].mem + page * PAGE, PAGE, PROT_READ));
			verify(s);
			SYS(mprotect(slots[s].mem + page * PAGE, PAGE, PROT_READ | PROT_WRITE));
			break;
		default:
			slots[s].seed[page] = next_random(&seed) | 1;
			fill(slots[s].mem + page * PAGE, PAGE, slots[s].seed[page]);
		}
		n++;
	} while (test_go() || n < 200);
	SABOTAGE(slots[0].mem[0] ^= 1);
	for (s = 0; s < SLOTS; s++)
		verify(s);
	pass();
}
