/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages in pipes: a stopped task puts pages of its memory into pipes of criu's (vmsplice(2)), where they can be taken from after
 * it runs again, and even after it unmapped them. They stay the very same pages: what the task writes shows.
 */
#ifndef CRIU_MEM_SPLICE_H
#define CRIU_MEM_SPLICE_H

#include "mem/pagemap.h"
#include "mem/sink.h"
#include "op.h"

struct page_pipes;

/*
 * The PRESENT ones of RUNS, from the first on, as many as there is room for in descriptors. The task's leader is a puppet. NULL: none (the
 * task can't, or no memory); nothing is lost by it, the pages are read from the task.
 */
struct page_pipes *pipes_fill(struct op *op, struct task *t, const struct page_run *runs,
			      size_t nr);
/* How many bytes from ADDR on, at most MAX, come next out of the pipes. 0: they are not there. PP may be NULL. */
uint64_t pipes_next(const struct page_pipes *pp, uint64_t addr, uint64_t max);
/* Moves the next LEN bytes to the sink. -1 logged. */
int pipes_drain(struct page_pipes *pp, struct page_sink *sink, uint64_t len);
void pipes_free(struct page_pipes *pp);

#endif
