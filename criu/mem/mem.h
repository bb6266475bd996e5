/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address spaces: what the two stories do with the memory of a task. Images: mm-*.img, pagemap-*.img, pages-*.img.
 *
 * dump: VMAs come from /proc/PID/smaps, written pages from PAGEMAP_SCAN; the task writes its pages to the image itself.
 * restore: the puppet maps the areas, reads their contents straight into place, and at the end gets its protections.
 */
#ifndef CRIU_MEM_MEM_H
#define CRIU_MEM_MEM_H

#include "mem/huge.h"
#include "op.h"
#include "util/mmap_flags.h"

/* VMA status bits of the images (vma_entry.status) */
enum {
	VMA_REGULAR = 0x1,
	VMA_STACK = 0x2,
	VMA_VSYSCALL = 0x4,
	VMA_VDSO = 0x8,
	VMA_HEAP = 0x20,
	VMA_FILE_PRIVATE = 0x40,
	VMA_FILE_SHARED = 0x80,
	VMA_ANON_SHARED = 0x100,
	VMA_ANON_PRIVATE = 0x200,
	VMA_SYSVIPC = 0x400,
	VMA_SOCKET = 0x800,
	VMA_VVAR = 0x1000,
	VMA_AIORING = 0x2000,
	VMA_MEMFD = 0x4000,
	VMA_SHSTK = 0x8000,
	VMA_GUARD = 0x10000,
	VMA_UPROBES = 0x20000,
};

static inline bool vma_special(const struct vma *v)
{
	return v->e.status & (VMA_VDSO | VMA_VVAR | VMA_VSYSCALL | VMA_UPROBES);
}
/*
 * Pages that the kernel may drop at any time, so restore does: the state of the vDSO's random numbers is there, and two restores of one
 * checkpoint must not draw the same ones. (To dump they are like others: their flag is known only when they have been saved.)
 */
static inline bool vma_droppable(const struct vma *v)
{
	return (v->e.flags & MAP_TYPE) == MAP_DROPPABLE;
}
/* May its pages be left to userfaultfd? */
static inline bool vma_lazy(const struct vma *v)
{
	return (v->e.status & VMA_ANON_PRIVATE) && !vma_special(v) &&
	       !(v->e.status & VMA_AIORING) && !vma_droppable(v) &&
	       (!hugetlb(v->e.flags) || hugetlb_can_be_lazy(v->e.flags));
}
static inline bool vma_private(const struct vma *v)
{
	return v->e.status & (VMA_ANON_PRIVATE | VMA_FILE_PRIVATE);
}

/* ---- dump ---- */
/* Reads the VMAs of a stopped task into t->vmas: places, protections, kinds. Before puppet_infect(). */
int vmas_collect(struct op *op, struct task *t);
/* Begins to read what takes the kernel longer, on a thread: smaps of all tasks. After puppet_infect(). */
int vmas_start_flags(struct op *op);
/* Waits for it: mmap flags, madvise, what cannot be dumped. -1 logged. */
int vmas_finish_flags(struct op *op);
void vmas_free_flags(struct op *op);
/* Fills t->mm but for the VMAs and the executable. The leader is a puppet. */
int mm_describe(struct op *op, struct task *t);
/* Names the mapped files and the executable (files_dump_mapped), writes mm-<vpid>.img. After vmas_finish_flags(). */
int mm_dump(struct op *op, struct task *t);
/* Saves the private pages: into the images or to the page server; lazy ones stay in the task with opts.lazy_pages. */
int pages_dump(struct op *op, struct task *t);

/* ---- restore ---- */
/* Reads mm-<vpid>.img and the pagemap, opens mapped files (descriptors that the puppets inherit). Nothing is created. */
int mm_collect(struct op *op, struct task *t);
/* Opens the files that T's memory maps (ghosts and memfds are made anew): descriptors that the puppets inherit. */
int mm_open_files(struct op *op, struct task *t);
/* An address where LEN bytes are free in every task and in criu itself. 0: none, logged. */
uint64_t mm_find_hole(struct op *op, uint64_t len);
/* In the puppet: its areas mapped and filled, from what it inherited of its parent's. Before its children are cloned. */
int mm_restore(struct op *op, struct task *t);
/* In the puppet, when the whole tree exists: protections, madvise, mlock. */
int mm_finish(struct op *op, struct task *t);
/* In the puppet: mm_struct's fields, executable, transparent huge pages. From now on others may make the kernel bring in pages of its words: lazy areas are registered. */
int mm_describe_to_kernel(struct op *op, struct task *t);
void mm_close_files(struct op *op);

#endif
