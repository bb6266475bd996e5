/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Huge pages, of both kinds.
 *
 * hugetlb (Documentation/admin-guide/mm/hugetlbpage.rst): an area that has only such pages, of one size, which mmap() was asked for. In images
 * vma_entry.flags has MAP_HUGETLB and the size, as mmap(2) takes them. To dump such a page is to save all of its small pages.
 *
 * Which memory of a task was in transparent huge pages (Documentation/admin-guide/mm/transhuge.rst) when it was dumped. Pages arrive one by one at a lazy
 * restore; lazy-pages joins them again at the end (lazy/collapse.c). hugepages-<vpid>.img is ours: CRIU does not know it, and does not look at it.
 */
#ifndef CRIU_MEM_HUGE_H
#define CRIU_MEM_HUGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUGE_SIZE  (2UL << 20)
#define HUGE_PAGES (HUGE_SIZE / 4096)

/* What of mmap's flags says that an area has huge pages, and which. */
#define HUGETLB_FLAGS 0xfc040000U
/* For pages of SIZE bytes; 0: no size that mmap knows. */
uint32_t hugetlb_flags(uint64_t size);
static inline bool hugetlb(uint32_t mmap_flags)
{
	return mmap_flags & 0x40000; /* MAP_HUGETLB */
}
/*
 * May the pages of such an area come later? Those of 1 GiB may not: nobody waits so long for one. Nor may those for which the area has no
 * reservation (MAP_NORESERVE): there may be none to be had when the task runs already, while restore can still fail.
 */
static inline bool hugetlb_can_be_lazy(uint32_t mmap_flags)
{
	return (mmap_flags & HUGETLB_FLAGS) == (0x40000 | 21U << 26) &&
	       !(mmap_flags & 0x4000 /* MAP_NORESERVE */);
}

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

/* The hugetlb areas of task VPID that can be lazy, from mm-<vpid>.img; empty where there is no such image. -1: damaged, logged. */
int hugetlb_load(struct huge_list *l, int dirfd, uint32_t vpid);

#endif
