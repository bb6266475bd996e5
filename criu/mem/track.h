/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pages a task writes between two links of a chain of dumps. Called by pre-dump and dump.
 *
 * The way of Linux 6.7: the private anonymous areas are registered with a userfaultfd for asynchronous write protection
 * (Documentation/admin-guide/mm/userfaultfd.rst): the first write to a protected page takes the protection away and stops
 * nobody; PAGEMAP_SCAN tells which pages lost it. The descriptor is made by the task and then held outside of it
 * (mem/tracker.h); a page is unchanged only where its area was registered with that very descriptor all the time, so
 * what is mapped anew, moved, forked or executed counts as written.
 *
 * Where the kernel has soft-dirty bits instead, these.
 */
#ifndef CRIU_MEM_TRACK_H
#define CRIU_MEM_TRACK_H

#include "op.h"

/* Can this kernel do it? -1: no, logged with what is missing. */
int track_check(void);
/* True where a descriptor is needed: the tasks without one (t->uffd) get it by track_make(). */
bool track_by_uffd(void);

/* pre-dump: the private anonymous areas of a stopped task into t->vmas. Quick: smaps would visit every page. -1 logged. */
int track_collect(struct task *t);
/* A descriptor from before an exec belongs to an address space that is gone: dropped. After the areas were collected. -1 logged. */
int track_forget_stale(struct task *t);
/*
 * Lets the puppet make the userfaultfd of its task and takes it out: t->uffd. 0 also where the task cannot (no free descriptor,
 * a security module): warned; its memory is then saved whole by every link. -1: the puppet is gone, logged.
 */
int track_make(struct task *t);
/*
 * Sets v->tracked of the areas whose writes are known since the parent link (t->tracked), and v->uffd_foreign of those that
 * belong to another userfaultfd. BEGIN: areas that are not registered yet are from now on. Before the scan. -1 logged.
 */
int track_areas(struct task *t, int pagemap, bool begin);
/* Soft-dirty: from now on nothing counts as written. After the scan, before the task runs. -1 logged. */
int track_begin_soft_dirty(struct task *t);
/* The page could not be saved: the next link shall take it as written. */
void track_unprotect(struct task *t, uint64_t addr, uint64_t nr_pages);

/*
 * Pages of an area that was not tracked until now, and that count as protected all the same. The kernel forgets an area's registration, and leaves its marks, when
 * mremap(2) joins to it what is moved beside it. What is marked so can be written without being told of, and a scan protects only what counts as written. -1 logged.
 */
int track_protect_stale(struct task *t, uint64_t addr, uint64_t nr_pages);

#endif
