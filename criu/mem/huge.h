/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which memory of a task was in transparent huge pages (Documentation/admin-guide/mm/transhuge.rst) when it was dumped. Pages arrive one by one at a lazy
 * restore; lazy-pages joins them again at the end (lazy/collapse.c). hugepages-<vpid>.img is ours: CRIU does not know it, and does not look at it.
 */
#ifndef CRIU_MEM_HUGE_H
#define CRIU_MEM_HUGE_H

#include <stddef.h>
#include <stdint.h>

#define HUGE_SIZE (2UL << 20)

struct huge_range {
	uint64_t start, len; /* bytes, multiples of HUGE_SIZE */
};
struct huge_list {
	struct huge_range *v; /* sorted */
	size_t nr, cap;
};

/* START to END is mapped by huge pages, or parts of them at the borders, which do not count. In the order of addresses. -1: out of memory, logged. */
int huge_add(struct huge_list *l, uint64_t start, uint64_t end);
/* Writes the image of task VPID, none where there is nothing to say. -1 logged. */
int huge_save(const struct huge_list *l, int dirfd, uint32_t vpid);
/* Reads it; without an image the list is empty. -1: damaged, logged. */
int huge_load(struct huge_list *l, int dirfd, uint32_t vpid);
void huge_free(struct huge_list *l);

#endif
