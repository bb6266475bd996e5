/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pagemaps: which pages of an address space (or shared memory object) a checkpoint holds, and where their
 * bytes are. Written by dump and the page server, read by restore, lazy-pages, the page server and crit.
 *
 * Two files: pagemap-ID.img (a pagemap_head, then runs sorted by address) and pages-N.img (bytes back to back).
 * Addresses are bytes; counts are pages of PAGE_SIZE. For shared memory "address" is the offset in the object.
 */
#ifndef CRIU_MEM_PAGEMAP_H
#define CRIU_MEM_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/image.h"

/* flags of a run (pagemap_entry.flags, and the high half of the wire's cmd) */
enum { PE_PARENT = 1, PE_LAZY = 2, PE_PRESENT = 4 };

/* Of a busy task there are hundreds of thousands, so it is kept small. */
struct page_run {
	uint64_t start; /* bytes, page aligned */
	uint64_t nr_pages;
	uint64_t flags : 12;	 /* PE_* as in the image */
	uint64_t off_pages : 52; /* PRESENT: offset in the pages file */
};

/* ---- writing ---- */
/*
 * Adds a run to a pagemap image. LAST is the one that is not written yet: adjacent runs with equal flags are merged.
 * page_run_write() writes it, at the end too. -1: logged.
 */
int page_run_add(struct image *map, struct page_run *last, uint64_t start, uint64_t nr_pages,
		 uint32_t flags);
int page_run_write(struct image *map, struct page_run *last);

struct pagemap_writer {
	struct image *map, *pages;
	uint32_t pages_id;
	uint64_t nr_present;  /* pages in the pages file so far */
	struct page_run last; /* not yet written */
};
/*
 * Creates pagemap-ID.img (TYPE IMG_PAGEMAP or IMG_SHMEM_PAGEMAP) and pages-N.img with the next free N of
 * this process (N counts from 1). 0, or -1 logged.
 */
int pagemap_create(struct pagemap_writer *w, int dirfd, enum image_type type, unsigned long id);
/* Adds a run. Its bytes, where PRESENT, are written by the caller to image_fd(w->pages), in order. */
int pagemap_add(struct pagemap_writer *w, uint64_t start, uint64_t nr_pages, uint32_t flags);
int pagemap_finish(struct pagemap_writer *w); /* closes both; -1 logged */

/* ---- reading: everything of one object, parents resolved ---- */
struct pagemap {
	struct page_run
		*runs; /* sorted by start, no overlaps; flags and offsets as in this image */
	size_t nr;
	int pages_fd;		/* pages-N.img, -1 where there is none (nothing PRESENT) */
	uint64_t pages_size;	/* bytes */
	struct pagemap *parent; /* of the parent directory, NULL where none */
	bool in_parents;	/* some run is PARENT */
	bool has_lazy; /* some run is LAZY and not PRESENT: its pages stayed on the source */
};
/*
 * Opens pagemap-ID.img in DIRFD and, through the "parent" symlink, its whole chain. NULL with errno ENOENT
 * and nothing logged where the object has no pagemap; NULL otherwise: damaged, logged. A PARENT run whose pages the
 * parent does not have, and PRESENT runs beyond the end of the pages file, are damage.
 */
struct pagemap *pagemap_open(int dirfd, enum image_type type, unsigned long id);
/*
 * The same in two parts, for whoever may do without the parents: reading those of a busy task's chain takes some ms. Without them the bytes of PARENT runs are PAGES_REMOTE.
 */
struct pagemap *pagemap_open_alone(int dirfd, enum image_type type, unsigned long id);
int pagemap_open_parents(struct pagemap *pm, int dirfd, enum image_type type, unsigned long id);
/* Forgets, and frees, all runs of PM (not of its parents) that do not have all FLAGS. */
void pagemap_keep(struct pagemap *pm, uint32_t flags);
void pagemap_close(struct pagemap *pm);
/* Index of the first run that ends after ADDR (pm->nr where none): binary search. */
size_t pagemap_find(const struct pagemap *pm, uint64_t addr);

/* Where the bytes of a stretch are. */
enum page_where { PAGES_HOLE, PAGES_FILE, PAGES_REMOTE };
struct page_extent {
	enum page_where
		where; /* HOLE: zeros or file-backed untouched; FILE: at fd/off; REMOTE: on the source (LAZY, not PRESENT), or in parents that were not opened */
	uint64_t start, nr_pages;
	bool lazy;   /* the run that names it has PE_LAZY */
	bool parent; /* its bytes come from a parent image */
	int fd;	     /* FILE */
	uint64_t off;
};
/*
 * The longest stretch that begins at ADDR, ends at or before END (bytes), and lies in one place; parents are followed.
 * Always covers at least a page. Logarithmic in the number of runs.
 */
void pagemap_extent(const struct pagemap *pm, uint64_t addr, uint64_t end, struct page_extent *ext);

#endif
