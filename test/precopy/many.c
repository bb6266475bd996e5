// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many processes with some memory each, which they verify when they are asked.
 *
 *	many STATE_FILE NR_PROCESSES MIB [huge | hugetlb]
 *
 * huge: in huge pages, but for the last 4 MiB, which were, and shall not be any more (MADV_NOHUGEPAGE). Its address is in state->at.
 * hugetlb: in pages that mmap() was asked for.
 * STATE_FILE: see state.h. Each process looks at one page of its own all the time, at random.
 */
#define _GNU_SOURCE
#include "state.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL

static struct state *state;
static uint64_t *mem, nr_pages, me;

static uint64_t word(uint64_t page, uint64_t i)
{
	uint64_t x = (me << 40 | page << 9 | i) * 0x9e3779b97f4a7c15ULL;

	return x ^ x >> 29;
}

static void fill(void)
{
	for (uint64_t i = 0; i < nr_pages * PAGE / 8; i++)
		mem[i] = word(i / 512, i % 512);
}

static void verify(uint64_t page)
{
	for (uint64_t i = 0; i < PAGE / 8; i++)
		if (mem[page * 512 + i] != word(page, i)) {
			if (!atomic_fetch_add(&state->bad, 1))
				snprintf(state->why, sizeof(state->why), "process %lu page %lu",
					 (unsigned long)me, (unsigned long)page);
			return;
		}
}

/* Where the kernel has no such pages it says so to whoever waits. */
static void no_memory(void)
{
	atomic_fetch_add(&state->bad, 1);
	snprintf(state->why, sizeof(state->why), "mmap");
	atomic_fetch_add(&state->ready, 1);
	pause();
}

int main(int argc, char **argv)
{
	int fd = argc < 4 ? -1 : open(argv[1], O_RDWR | O_CREAT, 0600);
	bool huge = argc > 4 && !strcmp(argv[4], "huge");
	bool hugetlb = argc > 4 && !strcmp(argv[4], "hugetlb");
	uint64_t nr, rng = 1;

	if (fd < 0 || ftruncate(fd, 4096))
		return 1;
	nr = atoi(argv[2]);
	nr_pages = strtoull(argv[3], NULL, 0) * 256;
	state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	for (uint64_t i = 1; i < nr && i < MAX_PROCS; i++)
		if (!fork()) {
			me = i;
			break;
		}
	mem = mmap((void *)0x200000000000, nr_pages * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | (hugetlb ? MAP_HUGETLB : 0), -1, 0);
	if (mem == MAP_FAILED)
		no_memory();
	if (huge)
		madvise(mem, nr_pages * PAGE, MADV_HUGEPAGE);
	fill();
	if (huge)
		madvise((char *)mem + nr_pages * PAGE - (4 << 20), 4 << 20, MADV_NOHUGEPAGE);
	state->at = (uint64_t)mem;
	state->slots[me].used = 1;
	atomic_fetch_add(&state->ready, 1);
	for (;;) {
		struct slot *s = &state->slots[me];

		rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
		verify((rng >> 33) % nr_pages);
		s->counter++;
		if (s->done != state->want) {
			uint64_t want = state->want;

			for (uint64_t i = 0; i < nr_pages; i++)
				verify(i);
			s->done = want;
		}
		usleep(1000);
	}
}
