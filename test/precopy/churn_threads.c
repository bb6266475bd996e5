// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads of churn: they write to pages of their own, which nothing else moves, all the time, and move others about, also while
 * the main thread forks or remaps.
 */
#define _GNU_SOURCE
#include "churn.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HOT_PAGES   240 /* of all threads of a process */
#define MAX_THREADS 8

static unsigned nr_threads, pause_us;
static uint64_t first_seed;

/*
 * What is in such a page tells its version itself, since a fork takes a picture at any instant: of a page that is being written it has the
 * new version up to some word, and the one before it from there on.
 */
static struct hot {
	char *base;
	_Atomic uint64_t version[HOT_PAGES];
	uint64_t floor[HOT_PAGES]; /* before the fork */
	_Atomic uint64_t want, done[MAX_THREADS];
} hot;

static uint64_t *hot_page(unsigned page)
{
	return (uint64_t *)(hot.base + page * SMALL);
}

static uint64_t hot_word(unsigned page, unsigned i)
{
	return word(page + 1, i);
}

static void hot_write(unsigned page, uint64_t version)
{
	volatile uint64_t *p = hot_page(page);

	for (unsigned i = 0; i < SMALL / 8; i++)
		p[i] = hot_word(page, i) + version;
	hot.version[page] = version;
}

static void hot_verify(unsigned page)
{
	uint64_t *p = hot_page(page);

	for (unsigned i = 0; i < SMALL / 8; i++)
		if (p[i] - hot_word(page, i) != hot.version[page]) {
			bad("a thread's page: version", &p[i], p[i] - hot_word(page, i),
			    hot.version[page]);
			return;
		}
}

/* In a new child: the picture is one that can be, and is written anew. */
static void hot_adopt(unsigned page)
{
	uint64_t *p = hot_page(page), first = p[0] - hot_word(page, 0), last = first;

	for (unsigned i = 0; i < SMALL / 8; i++) {
		uint64_t v = p[i] - hot_word(page, i);

		if (v > last || v + 1 < first || v < hot.floor[page]) {
			bad("a thread's page at a fork: version", &p[i], v, last);
			break;
		}
		last = v;
	}
	hot_write(page, first + 1);
}

/* ---- memory that each thread moves about, beside what the others and the main thread do ---- */

#define ROAM_PAGES 16

struct roamer {
	char *base;
	unsigned nr, mine;
};

static uint64_t roam_word(const struct roamer *r, unsigned page, unsigned i)
{
	return word(1000 + r->mine * ROAM_PAGES + page, i);
}

static void roam_fill(struct roamer *r, unsigned from)
{
	for (unsigned page = from; page < r->nr; page++)
		for (unsigned i = 0; i < SMALL / 8; i++)
			((uint64_t *)(r->base + page * SMALL))[i] = roam_word(r, page, i);
}

static void roam_verify(const struct roamer *r)
{
	for (unsigned page = 0; page < r->nr; page++)
		for (unsigned i = 0; i < SMALL / 8; i++) {
			uint64_t *p = (uint64_t *)(r->base + page * SMALL) + i;

			if (*p == roam_word(r, page, i))
				continue;
			bad("memory that a thread moved", p, *p, roam_word(r, page, i));
			return;
		}
}

static char *roam_map(unsigned nr)
{
	return mmap(NULL, nr * SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void roam(struct roamer *r, uint64_t *seed)
{
	unsigned nr = rnd_of(seed, ROAM_PAGES) + 1, old = r->nr;
	char *to;

	switch (r->base ? rnd_of(seed, 5) : 0) {
	case 0: /* a new one, perhaps where another thread had its own until now */
		if (r->base)
			munmap(r->base, r->nr * SMALL);
		r->base = roam_map(nr);
		r->nr = nr;
		roam_fill(r, 0);
		break;
	case 1:
	case 2: /* the kernel chooses the place */
		to = mremap(r->base, r->nr * SMALL, nr * SMALL, MREMAP_MAYMOVE);
		if (to == MAP_FAILED)
			break;
		r->base = to;
		r->nr = nr;
		if (nr > old)
			roam_fill(r, old);
		break;
	case 3:
		to = roam_map(r->nr);
		if (mremap(r->base, r->nr * SMALL, r->nr * SMALL, MREMAP_MAYMOVE | MREMAP_FIXED,
			   to) == to)
			r->base = to;
		else
			munmap(to, r->nr * SMALL);
		break;
	case 4:
		roam_verify(r);
		break;
	}
}

static void *hot_thread(void *arg)
{
	unsigned mine = (uintptr_t)arg;
	uint64_t seed = first_seed + mine;
	struct roamer roamer = { .mine = mine };

	for (;;) {
		unsigned page = rnd_of(&seed, HOT_PAGES / nr_threads) * nr_threads + mine;

		hot_verify(page);
		if (rnd_of(&seed, 2))
			hot_write(page, hot.version[page] + 1);
		if (hot.done[mine] != hot.want) {
			uint64_t want = hot.want;

			for (page = mine; page < HOT_PAGES; page += nr_threads)
				hot_verify(page);
			if (roamer.base)
				roam_verify(&roamer);
			hot.done[mine] = want;
		}
		roam(&roamer, &seed);
		usleep(rnd_of(&seed, 2 * pause_us + 20));
	}
	return NULL;
}

static void hot_start(uint64_t seed)
{
	pthread_t t;

	first_seed = seed;
	for (uintptr_t i = 0; i < nr_threads; i++) {
		if (pthread_create(&t, NULL, hot_thread, (void *)i))
			bad("pthread_create", NULL, 0, 0);
		pthread_detach(t);
	}
}

void hot_begin(unsigned nr, unsigned pause, uint64_t seed)
{
	nr_threads = nr;
	pause_us = pause;
	if (!nr)
		return;
	hot.base = mmap(NULL, HOT_PAGES * SMALL, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < HOT_PAGES; i++)
		hot_write(i, 1);
	hot_start(seed);
}

void hot_before_fork(void)
{
	for (unsigned i = 0; i < HOT_PAGES; i++)
		hot.floor[i] = hot.version[i];
}

void hot_forked(uint64_t seed)
{
	for (unsigned i = 0; nr_threads && i < HOT_PAGES; i++)
		hot_adopt(i);
	memset(hot.done, 0, sizeof(hot.done));
	hot.want = 0;
	hot_start(seed);
}

void hot_verify_all(uint64_t want)
{
	hot.want = want;
	for (unsigned i = 0; i < nr_threads; i++)
		while (hot.done[i] != want)
			usleep(100);
}
