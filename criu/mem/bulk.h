/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Large stretches of anonymous memory, copied from files into a puppet by criu: UFFDIO_COPY on two threads. Faster than reading by the
 * task, because the kernel need not clear the pages first. Called by fill.c.
 */
#ifndef CRIU_MEM_BULK_H
#define CRIU_MEM_BULK_H

#include "op.h"

struct bulk_job {
	uint64_t dst, off, len; /* bytes, page aligned */
	int fd;
};
struct bulk {
	struct bulk_job *jobs;
	size_t nr, cap;
	uint64_t len; /* of all jobs */
};

/* Stretches shorter than this are not worth it. */
#define BULK_MIN_STRETCH (64 * PAGE_SIZE)
/* Neither is less than this in all. */
#define BULK_MIN_TOTAL (8UL << 20)

int bulk_add(struct bulk *b, uint64_t dst, int fd, uint64_t off, uint64_t len);
/* Copies all jobs into T, whose areas they lie in; nothing is there yet. -1 logged. */
int bulk_run(struct bulk *b, struct task *t);
void bulk_free(struct bulk *b);

#endif
