/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page sources: give the bytes of an object's pages, wherever they are: the images of a checkpoint and its parents, or a frozen
 * task that is itself the store of what was not written. Used by the servers (lazy/serve.c) and by lazy-pages with local images.
 *
 * The pages that a source has are numbered through, in the order of addresses.
 */
#ifndef CRIU_MEM_SOURCE_H
#define CRIU_MEM_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mem/pagemap.h"

struct page_source {
	uint64_t dst_id; /* on the wire */
	struct pagemap *pm;
	pid_t pid;	 /* the frozen task; 0: images only */
	int mem;	 /* /proc/PID/mem; -1: can't be opened, or there is no task */
	uint64_t *first; /* number of the first page of each run of PM */
	uint64_t nr_pages;
};

/* PM stays the caller's, and must live as long. -1: out of memory, logged. */
int source_init(struct page_source *s, uint64_t dst_id, struct pagemap *pm, pid_t pid);
void source_end(struct page_source *s);
/* Number of the page at VADDR; *LEFT: pages from it to the end of its run. -1: the source has no such page. */
int64_t source_page(const struct page_source *s, uint64_t vaddr, uint64_t *left);
/* Address of page number PAGE; *LEFT as above. */
uint64_t source_vaddr(const struct page_source *s, uint64_t page, uint64_t *left);
/* Reads NR_PAGES, which must be within one run. -1 logged: a page that cannot be had is never replaced by zeros. Thread-safe. */
int source_read(struct page_source *s, uint64_t vaddr, uint64_t nr_pages, void *buf);

struct source_run {
	uint64_t vaddr, nr_pages; /* within one run of the pagemap */
};
/* The same for several runs at once, back to back into BUF. */
int source_readv(struct page_source *s, const struct source_run *runs, unsigned nr, void *buf);

bool page_is_zero(const void *page);

#endif
