/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages that are never left to userfaultfd although they could be: those that every thread touches at its first instruction (stack,
 * thread-local storage), those that the kernel writes when restartable sequences are registered, and arguments and environment, which
 * others read through /proc without being able to wait for them. A handful per thread. Used by dump --lazy-pages and by restore.
 */
#ifndef CRIU_MEM_EAGER_H
#define CRIU_MEM_EAGER_H

#include "op.h"

struct eager {
	uint64_t *pages; /* addresses, sorted, no doubles */
	size_t nr;
};

/* From t->mm and the threads' cores. -1: out of memory, logged. */
int eager_find(struct task *t, struct eager *e);
/*
 * The next piece of [START, END): *IS_EAGER says of which kind, the result is where it ends.
 */
uint64_t eager_piece(const struct eager *e, uint64_t start, uint64_t end, bool *is_eager);

#endif
