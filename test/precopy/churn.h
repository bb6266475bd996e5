/* SPDX-License-Identifier: GPL-2.0-only */
/* What churn.c, whose regions the main thread of each process has, and churn_threads.c share. */
#ifndef PRECOPY_CHURN_H
#define PRECOPY_CHURN_H

#include "state.h"

#define SMALL 4096UL

static inline uint64_t rnd_of(uint64_t *seed, uint64_t n)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*seed >> 33) % n;
}

/* Word I of a page's contents in this version; 0: zeros. */
static inline uint64_t word(uint64_t version, unsigned i)
{
	uint64_t x = version * 0x9e3779b97f4a7c15ULL + i * 0xff51afd7ed558ccdULL;

	return version ? x ^ x >> 29 : 0;
}

/* Counted in the state file; the first is described there. */
void bad(const char *what, void *at, uint64_t have, uint64_t want);

/* The threads of the first process begin. Each does something, and pauses for twice that long at the most. */
void hot_begin(unsigned nr, unsigned pause_us, uint64_t seed);
/* Around each fork: the child has threads of its own. */
void hot_before_fork(void);
void hot_forked(uint64_t seed);
/* Returns when all threads have verified what they have. */
void hot_verify_all(uint64_t want);

#endif
