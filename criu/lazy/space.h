/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the lazy-pages daemon knows of the memory it fills: pure bookkeeping, no system calls.
 *
 * An *object* is the saved memory of one task of the image: the runs of pages that are lazy, numbered through. An address
 * in it is a *source address*: where the page was when the task was dumped.
 * A *space* is a live address space (one userfaultfd) filled from an object. It begins as a restored task's, and fork makes more.
 * Its *regions* say which source address belongs at an address now: at first one region maps everything to itself; mremap moves
 * parts, munmap and madvise cut them out. Every page has a state per space, two bits. All calls are logarithmic in the number of regions
 * and runs, plus the length of what they change.
 */
#ifndef CRIU_LAZY_SPACE_H
#define CRIU_LAZY_SPACE_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mem/huge.h"

struct pagemap;
struct space;

/* There are hundreds of thousands, too. How long it is says the next one's first page; behind the last is one without pages. */
struct lazy_run {
	uint64_t here : 1;	  /* in a parent's images, which are at hand: no server is asked */
	uint64_t start_page : 63; /* source address, in pages */
	uint64_t first;		  /* number of its first page */
};

struct object {
	uint64_t id;	    /* of the image: the task's pid there */
	uint64_t dst_id;    /* on the wire */
	struct pagemap *pm; /* only its runs whose bytes are in the image, and its parents */
	struct lazy_run *runs;
	size_t nr_runs;
	uint64_t nr_pages;	  /* lazy ones */
	struct huge_list huge;	  /* source addresses: what was in transparent huge pages, */
	struct huge_list hugetlb; /* and the areas of hugetlb that are lazy (hugetlb.c) */
	struct drawing *drawing;  /* in the report (stats.h); NULL: it is not */
	TAILQ_HEAD(, space) spaces;
	TAILQ_ENTRY(object) link;
};

TAILQ_HEAD(object_list, object);

enum page_state {
	PAGE_MISSING = 0,
	PAGE_ASKED = 1,
	PAGE_DONE = 2 /* in place, or not wanted any more */
};

struct region {
	uint64_t start, end; /* where it is now */
	uint64_t src;	     /* source address of START */
	RB_ENTRY(region) by_addr, by_src;
	TAILQ_ENTRY(region) link; /* of those that were displaced, or are being moved */
	unsigned epoch;		  /* of the space, when it was moved here; 0: it never was */
};
TAILQ_HEAD(region_list, region);
RB_HEAD(addr_tree, region);
RB_HEAD(src_tree, region);

#define NR_STREAMS 8
#define NR_VACATED 16

struct space {
	struct object *obj;
	int uffd;  /* -1: nothing left to fill, or the address space is gone */
	pid_t pid; /* of the image; a fork's child has its parent's */
	int pidfd; /* of the restored task, the journal's; -1: not known */
	bool child;
	struct addr_tree addrs;
	struct src_tree srcs;
	/*
	 * The kernel tells of a change after it has let go of the mappings: what several threads change at the same time is told in any order. DISPLACED: something
	 * was moved to where this is, so this has gone elsewhere, or nowhere, and the message is on its way. VACATED: what was moved away from; its message is
	 * followed by one that it was unmapped, and by then something else may be there.
	 */
	struct region_list displaced;
	struct {
		uint64_t start, len;
	} vacated[NR_VACATED];
	unsigned nr_vacated;
	unsigned epoch;		   /* changes with space_quiet() */
	struct space *forked_from; /* whose moves may still turn out to have come before the fork */
	uint64_t forked_ns;	   /* when the fork was told */
	uint64_t *state;	   /* 32 pages a word */
	uint64_t nr_left;	   /* pages not DONE */
	struct stream {		   /* sequential readers: several threads may be */
		uint64_t next;	   /* address after the last answer */
		unsigned widen;	   /* pages that it asked for */
	} streams[NR_STREAMS];
	unsigned oldest_stream;
	TAILQ_ENTRY(space) link;
};

/*
 * The pages of PM (which the object takes over, also on failure) that restore leaves to us: runs with PE_LAZY, whose bytes are in this
 * directory's own pages file or on the source, and those in parent images. These may lie in areas that restore filled itself:
 * what has no place is let go.
 * NULL: out of memory, logged.
 */
struct object *object_new(uint64_t id, struct pagemap *pm);
void object_free(struct object *obj); /* its spaces too; uffds are closed */
/* The source address of a run in bytes, and how many pages it has. */
uint64_t lazy_run_start(const struct lazy_run *r);
uint64_t lazy_run_pages(const struct lazy_run *r);
/* The number of the page at source address SRC and *LEFT, the pages from it to its run's end; -1: not a lazy page, *LEFT: pages up to the next run. */
int64_t object_page(const struct object *obj, uint64_t src, uint64_t *left);

/* A space of OBJ with everything missing. */
struct space *space_new(struct object *obj, pid_t pid, int uffd);
/* The child of a fork: the same regions and states. Inserted after its parent. */
struct space *space_fork(struct space *parent, int uffd);
void space_free(struct space *sp);

/* The source address that belongs at ADDR, and *LEN bytes up to the region's end. False: nothing does (zeros). */
bool space_source(struct space *sp, uint64_t addr, uint64_t *src, uint64_t *len);
/*
 * Where the source bytes SRC... are now: the first region with bytes at or after SRC and before END. *SRC is moved up to it,
 * *LEN is how much of it lies before END. False: none.
 */
bool space_place(struct space *sp, uint64_t *src, uint64_t end, uint64_t *addr, uint64_t *len);

/* [START, START + LEN) was discarded: its pages count as DONE. GONE (may be NULL) is called for each stretch of source pages that was not DONE. */
typedef void (*gone_fn)(struct space *sp, uint64_t src, uint64_t nr_pages, void *arg);
int space_discard(struct space *sp, uint64_t start, uint64_t len, gone_fn gone, void *arg);
/* It was unmapped: nothing belongs there any more. Or it is the message about what has been displaced from there. */
int space_unmapped(struct space *sp, uint64_t start, uint64_t len, gone_fn gone, void *arg);
/* mremap moved [FROM, FROM + LEN) to TO. What is displaced from there stays not DONE until its own message comes, or space_quiet(). */
int space_move(struct space *sp, uint64_t from, uint64_t to, uint64_t len);
/* Every change that the kernel has made has been told. */
void space_quiet(struct space *sp, gone_fn gone, void *arg);
/* May there be changes that have not been told? */
bool space_unsettled(const struct space *sp);
/* Has something of the source bytes from SRC to END been displaced, and not been told of since? */
bool space_displaced(const struct space *sp, uint64_t src, uint64_t end);
/* Is anything between START and START + LEN not DONE, as far as is known? */
bool space_lacks(struct space *sp, uint64_t start, uint64_t len);

/* Source address of page number PAGE; *LEFT: pages from it to the end of its run. */
uint64_t object_src(const struct object *obj, uint64_t page, uint64_t *left);
/* Is it in a parent's images? *LEFT as above. */
bool object_here(const struct object *obj, uint64_t page, uint64_t *left);
/* The next run of lazy pages in [*SRC, END), as page number and length; *SRC is moved up to it. False: there is none. */
bool object_next_pages(const struct object *obj, uint64_t *src, uint64_t end, uint64_t *page,
		       uint64_t *nr);
/* Does SRC belong to hugetlb memory that is lazy? *LEN: bytes for which that is so. */
bool object_hugetlb(const struct object *obj, uint64_t src, uint64_t *len);
/* If page number PAGE does: how many from it on. Else 0, and *NR is cut down to those from PAGE on that do not. */
uint64_t object_skip_hugetlb(const struct object *obj, uint64_t page, uint64_t *nr);

enum page_state space_state(const struct space *sp, uint64_t page);
/* Sets NR pages from PAGE; a DONE page stays DONE. Returns how many were not in that state before. */
uint64_t space_set(struct space *sp, uint64_t page, uint64_t nr, enum page_state state);
/* The first page in [PAGE, END) that is not DONE (MISSING_ONLY: that is MISSING), END where none. */
uint64_t space_next_left(const struct space *sp, uint64_t page, uint64_t end, bool missing_only);
/*
 * The same for all live spaces of OBJ: the first page at or after PAGE that one of them lacks; *NR: how many it lacks in a row, up to MOST; 0: there is none.
 */
uint64_t object_next_left(const struct object *obj, uint64_t page, uint64_t most, bool missing_only,
			  uint64_t *nr);
/* How many from PAGE on, below END, are like it: all MISSING, or all not DONE. */
uint64_t space_stretch(const struct space *sp, uint64_t page, uint64_t end, bool missing_only);

/* ---- regions.c, which has all that is about addresses; only space.c calls these ---- */
void regions_init(struct space *sp);
/* Everything is at its source address. -1: out of memory, logged, as with the next one. */
int regions_begin(struct space *sp);
int regions_copy(struct space *sp, struct space *from);
void regions_free(struct space *sp);

#endif
