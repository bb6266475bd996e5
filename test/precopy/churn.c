// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tree of processes that does to its memory whatever can be done to memory, at random, and knows what must be in every page.
 *
 *	churn STATE_FILE SEED PAUSE_US MAX_PROCESSES [MAX_PAGES [NR_THREADS [hugetlb]]]
 *
 * MAX_PAGES: of one region (96). hugetlb: these pages are of 2 MiB (MAP_HUGETLB). NR_THREADS of each process have pages of
 * their own beside that (churn_threads.c). STATE_FILE: see state.h. Tests: 35-precopy, 38-storm.
 */
#define _GNU_SOURCE
#include "churn.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	    page_size
#define MAX_REGIONS 24
#define MAX_PAGES   1024
#define FREED	    (1ULL << 63)

struct region {
	char *base; /* NULL: free */
	unsigned nr, prot;
	uint64_t version
		[MAX_PAGES]; /* of each page's contents; 0: zeros; FREED: that, or zeros by now */
};

static struct state *state;
static struct region regions[MAX_REGIONS];
static uint64_t rng, counter, next_version;
static unsigned me, nr_children, max_procs, max_pages = 96, pause_us;
static uint64_t page_size = SMALL;
static int map_flags = MAP_PRIVATE | MAP_ANONYMOUS;

static uint64_t rnd(uint64_t n)
{
	return rnd_of(&rng, n);
}

void bad(const char *what, void *at, uint64_t have, uint64_t want)
{
	if (!atomic_fetch_add(&state->bad, 1))
		snprintf(state->why, sizeof(state->why),
			 "process %u op %lu: %s at %p: %lx, not %lx", me, (unsigned long)counter,
			 what, at, (unsigned long)have, (unsigned long)want);
}

static void fill(struct region *r, unsigned page)
{
	uint64_t *p = (uint64_t *)(r->base + page * PAGE), v = ++next_version;

	for (unsigned i = 0; i < PAGE / 8; i++)
		p[i] = word(v, i);
	r->version[page] = v;
}

/* The first word of a page that is not VERSION's; NULL: it is whole. */
static uint64_t *wrong_word(uint64_t *p, uint64_t version)
{
	for (unsigned i = 0; i < PAGE / 8; i++)
		if (p[i] != word(version, i))
			return &p[i];
	return NULL;
}

static void verify_page(struct region *r, unsigned page)
{
	uint64_t *p = (uint64_t *)(r->base + page * PAGE), v = r->version[page] & ~FREED;
	uint64_t *wrong = wrong_word(p, v);

	if (!wrong)
		return;
	if ((r->version[page] & FREED) && !wrong_word(p, 0))
		r->version[page] = 0; /* and so it stays */
	else
		bad("page", wrong, *wrong, word(v, wrong - p));
}

static void verify_all(void)
{
	for (struct region *r = regions; r < regions + MAX_REGIONS; r++) {
		if (!r->base)
			continue;
		if (!(r->prot & PROT_READ))
			mprotect(r->base, r->nr * PAGE, PROT_READ);
		for (unsigned i = 0; i < r->nr; i++)
			verify_page(r, i);
		mprotect(r->base, r->nr * PAGE, r->prot);
	}
}

/* ---- operations ---- */

static struct region *pick(int writable)
{
	for (int tries = 0; tries < 10; tries++) {
		struct region *r = &regions[rnd(MAX_REGIONS)];

		if (r->base && (!writable || (r->prot & PROT_WRITE)))
			return r;
	}
	return NULL;
}

static void op_write(void)
{
	struct region *r = pick(1);

	for (unsigned n = r ? rnd(16) + 1 : 0; n; n--)
		fill(r, rnd(r->nr));
}

static void op_read(void)
{
	struct region *r = pick(0);

	if (r && (r->prot & PROT_READ))
		verify_page(r, rnd(r->nr));
}

static struct region *free_region(void)
{
	for (struct region *r = regions; r < regions + MAX_REGIONS; r++)
		if (!r->base)
			return r;
	return NULL;
}

static void op_map(void)
{
	struct region *r = free_region();

	if (!r)
		return;
	r->nr = rnd(max_pages) + 1;
	r->prot = PROT_READ | PROT_WRITE;
	r->base = mmap(NULL, r->nr * PAGE, r->prot, map_flags, -1, 0);
	if (r->base == MAP_FAILED) {
		r->base = NULL;
		return;
	}
	memset(r->version, 0, sizeof(r->version));
	for (unsigned i = 0; i < r->nr; i++)
		if (rnd(3))
			fill(r, i);
}

static void op_unmap(void)
{
	struct region *r = pick(0);
	unsigned keep;

	if (!r)
		return;
	keep = rnd(2) ? 0 : rnd(r->nr);
	munmap(r->base + keep * PAGE, (r->nr - keep) * PAGE);
	r->nr = keep;
	if (!keep)
		r->base = NULL;
}

/* What comes instead at the same address is new, and zero. */
static void op_replace(void)
{
	struct region *r = pick(0);

	if (!r)
		return;
	munmap(r->base, r->nr * PAGE);
	r->prot = PROT_READ | PROT_WRITE;
	/* where it was, if no thread has taken the place meanwhile */
	r->base = mmap(r->base, r->nr * PAGE, r->prot, map_flags, -1, 0);
	if (r->base == MAP_FAILED) {
		r->base = NULL;
		return;
	}
	memset(r->version, 0, sizeof(r->version));
	if (rnd(2))
		fill(r, rnd(r->nr));
}

static void op_resize(void)
{
	struct region *r = pick(0);
	unsigned nr = rnd(max_pages) + 1;
	char *p;

	if (!r)
		return;
	p = mremap(r->base, r->nr * PAGE, nr * PAGE, MREMAP_MAYMOVE);
	if (p == MAP_FAILED)
		return;
	r->base = p;
	for (unsigned i = r->nr; i < nr; i++)
		r->version[i] = 0;
	r->nr = nr;
}

/* To TO, over whatever is there. A region may have become several areas, which the kernel moves one at a time. */
static void move_pages(char *from, unsigned nr, char *to)
{
	if (mremap(from, nr * PAGE, nr * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED)
		return;
	if (nr == 1) {
		bad("mremap", from, 0, (uint64_t)to);
		_exit(1);
	}
	move_pages(from, nr / 2, to);
	move_pages(from + nr / 2 * PAGE, nr - nr / 2, to + nr / 2 * PAGE);
}

static void move(struct region *r, char *to)
{
	move_pages(r->base, r->nr, to);
	r->base = to;
}

static char *reserve(const struct region *r)
{
	return mmap(NULL, r->nr * PAGE, PROT_NONE, map_flags | MAP_NORESERVE, -1, 0);
}

/* The hole at AT, where R has just been. False: a thread has taken it. */
static bool claim(const struct region *r, char *at)
{
	return mmap(at, r->nr * PAGE, PROT_NONE, map_flags | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
		    -1, 0) == at;
}

static void op_move(void)
{
	struct region *r = pick(0);

	if (r)
		move(r, reserve(r));
}

/* Two regions change places: each page of either is where another was. */
static void op_swap(void)
{
	struct region *a = pick(0), *b;
	char *at_a, *at_b;

	for (b = regions; a && b < regions + MAX_REGIONS; b++)
		if (b != a && b->base && b->nr == a->nr)
			break;
	if (!a || b == regions + MAX_REGIONS)
		return;
	at_a = a->base;
	at_b = b->base;
	move(a, reserve(a));
	if (!claim(a, at_a))
		return;
	move(b, at_a);
	if (claim(b, at_b))
		move(a, at_b);
}

/* The end of a region becomes one of its own, elsewhere. */
static void op_split(void)
{
	struct region *r = pick(0), *tail = free_region();
	unsigned keep;

	if (!r || !tail || r->nr < 2)
		return;
	keep = rnd(r->nr - 1) + 1;
	*tail = (struct region){ r->base + keep * PAGE, r->nr - keep, r->prot, { 0 } };
	memcpy(tail->version, r->version + keep, tail->nr * sizeof(r->version[0]));
	r->nr = keep;
	move(tail, reserve(tail));
}

/* What it held is elsewhere, and where it was is still mapped: zeros. */
static void op_leave_behind(void)
{
	struct region *r = pick(0), *old = free_region();
	char *p;

	if (!r || !old)
		return;
	p = mremap(r->base, r->nr * PAGE, r->nr * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (p == MAP_FAILED)
		return;
	*old = (struct region){ r->base, r->nr, r->prot, { 0 } };
	r->base = p;
}

/* Pages *FROM to *FROM + *NR of some region; NULL: of none. */
static struct region *pick_pages(unsigned *from, unsigned *nr)
{
	struct region *r = pick(0);

	if (r) {
		*from = rnd(r->nr);
		*nr = rnd(r->nr - *from) + 1;
	}
	return r;
}

static void op_discard(void)
{
	unsigned from, nr;
	struct region *r = pick_pages(&from, &nr);

	if (!r)
		return;
	madvise(r->base + from * PAGE, nr * PAGE, MADV_DONTNEED);
	memset(r->version + from, 0, nr * sizeof(r->version[0]));
}

static void op_free(void)
{
	unsigned from, nr;
	struct region *r = pick_pages(&from, &nr);

	if (!r)
		return;
	if (madvise(r->base + from * PAGE, nr * PAGE, MADV_FREE))
		return;
	for (unsigned i = from; i < from + nr; i++)
		if (r->version[i])
			r->version[i] |= FREED;
}

/* Areas are parted and joined again. */
static void op_flicker(void)
{
	unsigned from, nr;
	struct region *r = pick_pages(&from, &nr);

	if (!r)
		return;
	mprotect(r->base + from * PAGE, nr * PAGE, PROT_NONE);
	mprotect(r->base, r->nr * PAGE, r->prot);
}

static void op_protect(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE };
	struct region *r = pick(0);

	if (!r)
		return;
	r->prot = prots[rnd(4)];
	mprotect(r->base, r->nr * PAGE, r->prot);
}

static void op_fork(void)
{
	pid_t pid;

	for (unsigned s = 0; s < max_procs; s++) {
		uint64_t none = 0;

		if (!atomic_compare_exchange_strong(&state->slots[s].used, &none, 1))
			continue;
		hot_before_fork();
		pid = fork();
		if (pid < 0) {
			state->slots[s].used = 0;
		} else if (!pid) {
			me = s;
			counter = 0;
			state->slots[s].counter = 0;
			state->slots[s].done = 0;
			nr_children = 0;
			rng ^= (uint64_t)(s + 1) * 0x2545f4914f6cdd1dULL;
			next_version = (uint64_t)(s + 1) << 56 | rnd(1 << 30) << 24;
			hot_forked(rng);
		} else {
			nr_children++;
		}
		return;
	}
}

static void op_exec(void)
{
	pid_t pid = rnd(4) ? -1 : fork();

	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	if (pid > 0)
		nr_children++;
}

/* Only leaves, so that nobody is orphaned. */
static void op_exit(void)
{
	if (!me || nr_children || rnd(3))
		return;
	verify_all();
	state->slots[me].used = 0;
	_exit(0);
}

static void (*const ops[])(void) = {
	op_write, op_write, op_write,	op_write,	 op_write,   op_read,
	op_read,  op_map,   op_map,	op_unmap,	 op_replace, op_resize,
	op_move,  op_swap,  op_discard, op_discard,	 op_free,    op_split,
	op_fork,  op_exit,  op_exec,	op_leave_behind, op_protect, op_flicker,
};

int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR | O_CREAT, 0600);

	if (argc < 5 || fd < 0 || ftruncate(fd, 4096))
		return 1;
	rng = strtoull(argv[2], NULL, 0) * 2 + 1;
	pause_us = atoi(argv[3]);
	max_procs = atoi(argv[4]);
	if (argc > 5)
		max_pages = atoi(argv[5]);
	if (argc > 7) {
		page_size = 2 << 20;
		map_flags |= MAP_HUGETLB;
	}
	state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	state->slots[0].used = 1;
	for (int i = 0; i < 12; i++)
		op_map();
	hot_begin(argc > 6 ? atoi(argv[6]) : 0, pause_us, rng);
	state->ready = 1;
	for (;;) {
		struct slot *s = &state->slots[me];

		if (s->counter != counter)
			bad("its own past: operations", &counter, counter, s->counter);
		if (s->done != state->want) {
			uint64_t want = state->want;

			verify_all();
			hot_verify_all(want);
			s->done = want;
		}
		s->counter = ++counter;
		ops[rnd(sizeof(ops) / sizeof(ops[0]))]();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			nr_children--;
		usleep(pause_us);
	}
}
