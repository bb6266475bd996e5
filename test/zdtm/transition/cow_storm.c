// SPDX-License-Identifier: GPL-2.0-only
/* Parent and child write to memory that they share copy-on-write, all the time: neither sees the other's pages. */
#include "zdtm.h"

#define NR 2048UL

static void work(char *mem, uint64_t tag)
{
	uint64_t seed = tag, i, n = 0;

	do {
		i = next_random(&seed) % NR;
		CHECK(*(uint64_t *)(mem + i * PAGE) == i ||
			      *(uint64_t *)(mem + i * PAGE) == i + tag,
		      "task %lu: page %lu has %#lx", tag, i, *(uint64_t *)(mem + i * PAGE));
		CHECK(*(uint64_t *)(mem + i * PAGE + 4088) == ~i,
		      "task %lu: the end of page %lu has changed", tag, i);
		*(uint64_t *)(mem + i * PAGE) = i + tag;
		n++;
		if (n % 200 == 0)
			sleep_ms(1);
	} while (test_go());
	SABOTAGE(*(uint64_t *)mem = 5);
	for (i = 0; i < NR; i++)
		CHECK(*(uint64_t *)(mem + i * PAGE) % (1UL << 40) == i,
		      "task %lu: page %lu has %#lx in the end", tag, i,
		      *(uint64_t *)(mem + i * PAGE));
}

int main(int argc, char **argv)
{
	unsigned long i;
	char *mem;
	pid_t pid;

	test_init(argc, argv);
	mem = map_anon(NR * PAGE, false);
	for (i = 0; i < NR; i++) {
		*(uint64_t *)(mem + i * PAGE) = i;
		*(uint64_t *)(mem + i * PAGE + 4088) = ~i;
	}
	pid = test_fork();
	if (!pid) {
		work(mem, 1UL << 40);
		_exit(0);
	}
	test_daemon();
	work(mem, 2UL << 40);
	test_end(pid);
	pass();
}
