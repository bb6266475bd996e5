// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rebuilding an address space from outside. The puppet has inherited its parent's memory (the root: criu's); areas that are the
 * same in parent and child stay, so that pages equal in both stay shared copy-on-write; everything else is unmapped, mapped
 * anew, and filled by preadv from the pages files, whose descriptors the puppets inherit from criu.
 */
#include "util/xmalloc.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "files/files.h"
#include "mem/fill.h"
#include "mem/eager.h"
#include "mem/guard.h"
#include "mem/mem.h"
#include "mem/pagemap.h"
#include "mem/vdso_map.h"
#include "proc/proc.h"
#include "remote/arena.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/log.h"

#define TASK_END 0x7ffffffff000UL

/* ---- reading the images ---- */

static int check_vma(const struct task *t, const VmaEntry *e, uint64_t last_end)
{
	bool vsyscall = e->status & VMA_VSYSCALL;

	if (e->start >= e->end || (e->start | e->end) % PAGE_SIZE ||
	    (!vsyscall && e->end > TASK_END) || e->start < last_end) {
		pr_err("mm-%d.img: a VMA at %#lx-%#lx that can't be", t->vpid, e->start, e->end);
		return -1;
	}
	if (e->status & (VMA_SYSVIPC | VMA_SOCKET | VMA_AIORING | VMA_SHSTK)) {
		pr_err("mm-%d.img: the VMA at %#lx-%#lx has status %#x: System V memory, packet "
		       "rings, AIO rings and shadow stacks are not supported",
		       t->vpid, e->start, e->end, e->status);
		return -1;
	}
	return 0;
}

/* Descriptors of mapped files, opened once per file and mode; the puppets inherit them. */
struct mapped_fd {
	uint32_t id;
	unsigned flags;
	int fd;
};
static struct mapped_fd *mapped;
static size_t nr_mapped, cap_mapped;

static int mapped_fd(struct op *op, uint32_t id, unsigned flags)
{
	int fd;

	for (size_t i = 0; i < nr_mapped; i++)
		if (mapped[i].id == id && mapped[i].flags == flags)
			return mapped[i].fd;
	if (xgrow(&mapped, &cap_mapped, nr_mapped, sizeof(*mapped)))
		return -1;
	fd = file_open_mapped(op, id, flags);
	if (fd < 0)
		return -1;
	mapped[nr_mapped++] = (struct mapped_fd){ id, flags, fd };
	return fd;
}

void mm_close_files(struct op *op)
{
	struct task *t;

	while (nr_mapped)
		close(mapped[--nr_mapped].fd);
	for_each_task (t, op) {
		pagemap_close(t->pages);
		t->pages = NULL;
	}
}

/* Is every page of parent images left to the lazy-pages daemon? Then restore need not read them. */
static bool without_parents(struct task *t)
{
	const struct pagemap *pm = t->pages;
	struct eager eager;
	bool ret = opts.lazy_pages && !eager_find(t, &eager);
	size_t k;

	if (!ret)
		return false;
	for (size_t i = 0; i < eager.nr && ret; i++) {
		k = pagemap_find(pm, eager.pages[i]);
		ret = k == pm->nr || pm->runs[k].start > eager.pages[i] ||
		      !(pm->runs[k].flags & PE_PARENT);
	}
	for (size_t i = 0; i < t->nr_vmas && ret; i++) {
		const struct vma *v = &t->vmas[i];

		if (vma_lazy(v))
			continue;
		for (k = pagemap_find(pm, v->e.start);
		     k < pm->nr && pm->runs[k].start < v->e.end && ret; k++)
			ret = !(pm->runs[k].flags & PE_PARENT);
	}
	free(eager.pages);
	return ret;
}

static int open_pagemap(struct op *op, struct task *t)
{
	t->pages = pagemap_open_alone(op->images, IMG_PAGEMAP, t->vpid);
	if (!t->pages) {
		if (errno == ENOENT)
			pr_err("There is no pagemap-%d.img: what the memory of task %d holds is in "
			       "it (with dump --page-server the page server has it: copy what it "
			       "wrote)",
			       t->vpid, t->vpid);
		return -1;
	}
	return without_parents(t)
		       ? 0
		       : pagemap_open_parents(t->pages, op->images, IMG_PAGEMAP, t->vpid);
}

int mm_collect(struct op *op, struct task *t)
{
	uint64_t last = 0;

	if (image_read_one(op->images, IMG_MM, t->vpid, (ProtobufCMessage **)&t->mm))
		return -1;
	t->vmas = xcalloc(t->mm->n_vmas, sizeof(*t->vmas));
	if (!t->vmas && t->mm->n_vmas)
		return -1;
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		struct vma *v = &t->vmas[i];

		v->e = *t->mm->vmas[i];
		if (check_vma(t, &v->e, last))
			return -1;
		last = v->e.end;
		if (v->e.status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED | VMA_ANON_SHARED))
			v->file_id = v->e.shmid;
	}
	t->nr_vmas = t->mm->n_vmas;
	return open_pagemap(op, t);
}

/* Opened apart from mm_collect(): making ghost files and memfds is the first thing that has effects. */
int mm_open_files(struct op *op, struct task *t)
{
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i];

		if (!v->file_id)
			continue;
		v->e.fd = mapped_fd(op, v->file_id,
				    v->e.has_fdflags ? v->e.fdflags
				    : (v->e.status & VMA_FILE_SHARED) && (v->e.prot & PROT_WRITE)
					    ? O_RDWR
					    : O_RDONLY);
		if (v->e.fd < 0)
			return -1;
	}
	return mapped_fd(op, t->mm->exe_file_id, O_RDONLY) < 0 ? -1 : 0;
}

/* ---- the hole for the arena ---- */

struct range {
	uint64_t start, end;
};

static int cmp_range(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

struct own_maps {
	struct range *v;
	size_t nr, cap;
};

static int add_own(const struct proc_vma *v, void *arg)
{
	struct own_maps *m = arg;

	if (xgrow(&m->v, &m->cap, m->nr, sizeof(*m->v)))
		return -1;
	m->v[m->nr++] = (struct range){ v->start, v->end };
	return 0;
}

uint64_t mm_find_hole(struct op *op, uint64_t len)
{
	struct own_maps m = { 0 };
	uint64_t at = 0x10000000, found = 0;
	struct task *t;

	if (proc_read_maps(AT_FDCWD, "/proc/self/maps", add_own, &m))
		goto out;
	for_each_live_task (t, op)
		for (size_t i = 0; i < t->nr_vmas; i++) {
			if (xgrow(&m.v, &m.cap, m.nr, sizeof(*m.v)))
				goto out;
			/* room below for stacks that grow */
			m.v[m.nr++] = (struct range){ t->vmas[i].e.start -
							      min(t->vmas[i].e.start, 0x1000000UL),
						      t->vmas[i].e.end };
		}
	qsort(m.v, m.nr, sizeof(*m.v), cmp_range);
	for (size_t i = 0; i <= m.nr && !found; i++) {
		uint64_t next = i < m.nr ? m.v[i].start : TASK_END;

		if (next > at && next - at >= len + 2 * PAGE_SIZE && at + len < TASK_END)
			found = at + PAGE_SIZE;
		else if (i < m.nr && m.v[i].end > at)
			at = m.v[i].end;
	}
	if (!found)
		pr_err("No %#lx bytes of address space are free in all tasks", len);
out:
	free(m.v);
	return found;
}

/* ---- mapping ---- */

static int room(struct puppet *p, unsigned nr_calls, size_t len)
{
	if (prog_room(p, nr_calls, len))
		return 0;
	if (prog_run(p))
		return -1;
	prog_reset(p);
	return 0;
}

static void add_unmap(struct puppet *p, uint64_t start, uint64_t end)
{
	if (start < end)
		prog_add(p, RC_STOP, __NR_munmap, start, end - start);
}

#define SAME_FLAGS (MAP_TYPE | MAP_GROWSDOWN | HUGETLB_FLAGS)

/*
 * Areas that parent and child have in common stay as the fork left them. But for lazy hugetlb memory: the kernel reserves huge pages for who has called mmap(),
 * not for the child of a fork, and pages that come later must be sure to find room.
 */
static void mark_inherited(struct task *t)
{
	size_t k = 0;

	if (!t->parent || !t->parent->nr_vmas)
		return;
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i], *o;

		while (k < t->parent->nr_vmas && t->parent->vmas[k].e.start < v->e.start)
			k++;
		if (k == t->parent->nr_vmas)
			break;
		o = &t->parent->vmas[k];
		v->inherited = o->e.start == v->e.start && o->e.end == v->e.end &&
			       o->e.status == v->e.status &&
			       (o->e.flags & SAME_FLAGS) == (v->e.flags & SAME_FLAGS) &&
			       !(opts.lazy_pages && hugetlb(v->e.flags)) &&
			       o->file_id == v->file_id && o->e.pgoff == v->e.pgoff;
	}
}

/* Everything goes but the arena and what is inherited. */
static int unmap_rest(struct op *op, struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	struct arena *a = op->arena;
	uint64_t at = 0;

	prog_reset(p);
	for (size_t i = 0; i <= t->nr_vmas; i++) {
		bool end = i == t->nr_vmas;
		uint64_t until = end ? TASK_END : t->vmas[i].e.start;

		if (!end && (!t->vmas[i].inherited || until >= TASK_END))
			continue;
		if (room(p, 2, 0))
			return -1;
		if (at < a->base && until > a->base) {
			add_unmap(p, at, a->base);
			add_unmap(p, a->base + a->len, until);
		} else {
			add_unmap(p, at, until);
		}
		if (!end)
			at = t->vmas[i].e.end;
	}
	return prog_run(p);
}

/* Only areas with contents become writable for them: a large reserved one would count against the overcommit limit. */
static void mark_contents(struct task *t)
{
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i];
		size_t run;

		if (!vma_private(v) || vma_droppable(v) || !t->pages)
			continue;
		run = pagemap_find(t->pages, v->e.start);
		v->has_pages = run < t->pages->nr && t->pages->runs[run].start < v->e.end;
	}
}

static int map_vmas(struct op *op, struct task *t)
{
	struct puppet *p = leader(t)->puppet;

	prog_reset(p);
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i];
		int prot = v->e.prot,
		    flags = v->e.flags & (MAP_TYPE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_NORESERVE |
					  HUGETLB_FLAGS);

		if (vma_special(v))
			continue;
		if (room(p, 2, 0))
			return -1;
		/* contents are written first, the right protection comes with mm_finish() */
		if (v->has_pages)
			prot |= PROT_READ | PROT_WRITE;
		if (v->inherited) {
			prog_add(p, RC_STOP, __NR_mprotect, v->e.start, v->e.end - v->e.start,
				 prot);
			continue;
		}
		prog_add(p, RC_STOP, __NR_mmap, v->e.start, v->e.end - v->e.start, prot,
			 flags | MAP_FIXED_NOREPLACE, v->file_id ? v->e.fd : -1, v->e.pgoff);
	}
	return prog_run(p);
}

static struct prctl_mm_map map_of(const MmEntry *mm)
{
	return (struct prctl_mm_map){
		.start_code = mm->mm_start_code,
		.end_code = mm->mm_end_code,
		.start_data = mm->mm_start_data,
		.end_data = mm->mm_end_data,
		.start_brk = mm->mm_start_brk,
		.brk = mm->mm_brk,
		.start_stack = mm->mm_start_stack,
		.arg_start = mm->mm_arg_start,
		.arg_end = mm->mm_arg_end,
		.env_start = mm->mm_env_start,
		.env_end = mm->mm_env_end,
		.exe_fd = -1U,
	};
}

/*
 * Who reads /proc/PID/cmdline or environ makes the kernel bring the pages in: zeros, where nothing is there yet, and the lazy-pages daemon would take them for the task's
 * own. So there are no words until the areas are registered. The children have this from the root.
 */
static int hide_words(struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	struct prctl_mm_map m = map_of(t->mm);

	m.arg_end = m.env_start = m.env_end = m.arg_start;
	prog_reset(p);
	prog_add(p, RC_STOP, __NR_prctl, PR_SET_MM, PR_SET_MM_MAP, prog_buf(p, &m, sizeof(m)),
		 sizeof(m), 0);
	return prog_run(p);
}

int mm_restore(struct op *op, struct task *t)
{
	mark_inherited(t);
	mark_contents(t);
	if (t == op->root && hide_words(t))
		return -1;
	if (unmap_rest(op, t) || map_vmas(op, t) || vdso_restore(op, t))
		return -1;
	return fill_pages(op, t);
}

/* ---- the end ---- */

int mm_finish(struct op *op, struct task *t)
{
	struct puppet *p = leader(t)->puppet;

	prog_reset(p);
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i];
		uint64_t len = v->e.end - v->e.start;

		if (vma_special(v))
			continue;
		if (room(p, 64, 0))
			return -1;
		if (v->has_pages &&
		    (v->e.prot & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE))
			prog_add(p, RC_STOP, __NR_mprotect, v->e.start, len, v->e.prot);
		for (unsigned advice = 0; v->e.has_madv && advice < 64; advice++)
			if (v->e.madv & (1ULL << advice))
				prog_add(p,
					 advice == MADV_MERGEABLE || advice == MADV_HUGEPAGE
						 ? 0
						 : RC_STOP,
					 __NR_madvise, v->e.start, len, advice);
		/* not in what is locked already */
		if (v->e.status & VMA_GUARD)
			prog_add(p, RC_STOP, __NR_madvise, v->e.start, len, MADV_GUARD_INSTALL);
		if (v->e.flags & MAP_LOCKED)
			prog_add(p, v->e.status & VMA_GUARD ? 0 : RC_STOP, __NR_mlock2, v->e.start,
				 len, opts.lazy_pages || v->e.locked_on_fault ? MLOCK_ONFAULT : 0);
	}
	return prog_run(p);
}

int mm_describe_to_kernel(struct op *op, struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	struct prctl_mm_map m = map_of(t->mm);
	cleanup_free uint64_t *auxv = xcalloc(t->mm->n_mm_saved_auxv + 2, 8);

	if (!auxv)
		return -1;
	memcpy(auxv, t->mm->mm_saved_auxv, t->mm->n_mm_saved_auxv * 8);
	prog_reset(p);
	m.exe_fd = mapped_fd(op, t->mm->exe_file_id, O_RDONLY);
	m.auxv = (void *)prog_buf(p, auxv, (t->mm->n_mm_saved_auxv + 2) * 8);
	m.auxv_size = (t->mm->n_mm_saved_auxv + 2) * 8;
	prog_add(p, RC_STOP, __NR_prctl, PR_SET_MM, PR_SET_MM_MAP, prog_buf(p, &m, sizeof(m)),
		 sizeof(m), 0);
	/* fill_pages() has turned them off */
	prog_add(p, RC_STOP, __NR_prctl, PR_SET_THP_DISABLE,
		 t->mm->has_thp_disabled && t->mm->thp_disabled, 0, 0, 0);
	return prog_run(p);
}
