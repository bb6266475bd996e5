// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tree of processes that does to its memory whatever can be done to memory, at random, and knows what must be in every page.
 *
 *	churn STATE_FILE SEED PAUSE_US MAX_PROCESSES
 *
 * STATE_FILE is mapped by all of them (struct state): what is in it survives outside of any checkpoint, so that a process that was
 * put back to an older state is found out. When WANT changes, every process verifies all that it has, says so in
 * its slot, and goes on. Test: 35-precopy.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	    4096UL
#define MAX_PROCS   8
#define MAX_REGIONS 24
#define MAX_PAGES   96

struct slot {
	_Atomic uint64_t used, done,
		counter; /* DONE: the last WANT that was verified; COUNTER: operations */
};
struct state {
	_Atomic uint64_t want, bad, ready;
	char why[104]; /* of the first bad thing */
	struct slot slots[MAX_PROCS];
};

struct region {
	char *base; /* NULL: free */
	unsigned nr, prot;
	uint64_t version[MAX_PAGES]; /* of each page's contents; 0: zeros */
};

static struct state *state;
static struct region regions[MAX_REGIONS];
static uint64_t rng, counter, next_version;
static unsigned me, nr_children, max_procs;

static uint64_t rnd(uint64_t n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (rng >> 33) % n;
}

static void bad(const char *what, void *at, uint64_t have, uint64_t want)
{
	if (!atomic_fetch_add(&state->bad, 1))
		snprintf(state->why, sizeof(state->why),
			 "process %u op %lu: %s at %p: %lx, not %lx", me, (unsigned long)counter,
			 what, at, (unsigned long)have, (unsigned long)want);
}

static uint64_t word(uint64_t version, unsigned i)
{
	uint64_t x = version * 0x9e3779b97f4a7c15ULL + i * 0xff51afd7ed558ccdULL;

	return version ? x ^ x >> 29 : 0;
}

static void fill(struct region *r, unsigned page)
{
	uint64_t *p = (uint64_t *)(r->base + page * PAGE), v = ++next_version;

	for (unsigned i = 0; i < PAGE / 8; i++)
		p[i] = word(v, i);
	r->version[page] = v;
}

static void verify_page(const struct region *r, unsigned page)
{
	uint64_t *p = (uint64_t *)(r->base + page * PAGE);

	for (unsigned i = 0; i < PAGE / 8; i++)
		if (p[i] != word(r->version[page], i)) {
			bad("page", &p[i], p[i], word(r->version[page], i));
			return;
		}
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

static void op_map(void)
{
	for (struct region *r = regions; r < regions + MAX_REGIONS; r++) {
		if (r->base)
			continue;
		r->nr = rnd(MAX_PAGES) + 1;
		r->prot = PROT_READ | PROT_WRITE;
		r->base = mmap(NULL, r->nr * PAGE, r->prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (r->base == MAP_FAILED) {
			r->base = NULL;
			return;
		}
		memset(r->version, 0, sizeof(r->version));
		for (unsigned i = 0; i < r->nr; i++)
			if (rnd(3))
				fill(r, i);
		return;
	}
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
	mmap(r->base, r->nr * PAGE, r->prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(r->version, 0, sizeof(r->version));
	if (rnd(2))
		fill(r, rnd(r->nr));
}

static void op_resize(void)
{
	struct region *r = pick(0);
	unsigned nr = rnd(MAX_PAGES) + 1;
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

/* To TO, over whatever is there. */
static void move(struct region *r, char *to)
{
	char *p = mremap(r->base, r->nr * PAGE, r->nr * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	if (p == MAP_FAILED) {
		bad("mremap", r->base, 0, (uint64_t)to);
		_exit(1);
	}
	r->base = p;
}

static char *reserve(const struct region *r)
{
	return mmap(NULL, r->nr * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
	move(b, at_a);
	move(a, at_b);
}

static void op_discard(void)
{
	struct region *r = pick(0);
	unsigned from, nr;

	if (!r)
		return;
	from = rnd(r->nr);
	nr = rnd(r->nr - from) + 1;
	madvise(r->base + from * PAGE, nr * PAGE, MADV_DONTNEED);
	memset(r->version + from, 0, nr * sizeof(r->version[0]));
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
		pid = fork();
		if (pid < 0) {
			state->slots[s].used = 0;
		} else if (!pid) {
			me = s;
			counter = 0;
			state->slots[s].counter = 0;
			nr_children = 0;
			rng ^= (uint64_t)(s + 1) * 0x2545f4914f6cdd1dULL;
			next_version = (uint64_t)(s + 1) << 56 | rnd(1 << 30) << 24;
		} else {
			nr_children++;
		}
		return;
	}
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

static void (*const ops[])(void) = { op_write,	 op_write,  op_write, op_write,	 op_write,
				     op_read,	 op_read,   op_map,   op_map,	 op_unmap,
				     op_replace, op_resize, op_move,  op_swap,	 op_discard,
				     op_discard, op_fork,   op_exit,  op_protect };

int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	unsigned pause_us = atoi(argv[3]);

	if (argc < 5 || fd < 0 || ftruncate(fd, 4096))
		return 1;
	rng = strtoull(argv[2], NULL, 0) * 2 + 1;
	max_procs = atoi(argv[4]);
	state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	state->slots[0].used = 1;
	for (int i = 0; i < 12; i++)
		op_map();
	state->ready = 1;
	for (;;) {
		struct slot *s = &state->slots[me];

		if (s->counter != counter)
			bad("its own past: operations", &counter, counter, s->counter);
		if (s->done != state->want) {
			verify_all();
			s->done = state->want;
		}
		s->counter = ++counter;
		ops[rnd(sizeof(ops) / sizeof(ops[0]))]();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			nr_children--;
		usleep(pause_us);
	}
}
