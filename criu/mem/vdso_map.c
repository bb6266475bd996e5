// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vDSO belongs to the kernel that runs the task. arch_prctl(ARCH_MAP_VDSO_64) maps this kernel's (data pages first, code behind
 * them) at an address of our choice; in a time namespace the data pages are that namespace's. Where the task comes from
 * another kernel, callers still know the old entry points: map_both().
 */
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "mem/mem.h"
#include "mem/pagemap.h"
#include "mem/vdso_map.h"
#include "proc/proc.h"
#include "regs.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/log.h"
#include "vdso.h"

#ifndef ARCH_MAP_VDSO_64
#define ARCH_MAP_VDSO_64 0x2003
#endif

/* This kernel's vDSO, as mapped into criu itself. */
struct own_vdso {
	uint64_t vvar, vvar_len, vdso, vdso_len;
};

static int find_own(const struct proc_vma *v, void *arg)
{
	struct own_vdso *o = arg;

	if (!strncmp(v->path, "[vvar", 5)) {
		if (!o->vvar_len)
			o->vvar = v->start;
		o->vvar_len = v->end - o->vvar;
	} else if (!strcmp(v->path, "[vdso]")) {
		o->vdso = v->start;
		o->vdso_len = v->end - v->start;
	}
	return 0;
}

static struct vma *find_vma(struct task *t, uint32_t status)
{
	for (size_t i = 0; i < t->nr_vmas; i++)
		if (t->vmas[i].e.status & status)
			return &t->vmas[i];
	return NULL;
}

/* The code of the vDSO that the task had, NULL where the image has not got it. */
static int read_old(struct task *t, const struct vma *v, char **code)
{
	uint64_t len = v->e.end - v->e.start;
	struct page_extent ext;

	*code = NULL;
	if (!t->pages)
		return 0;
	pagemap_extent(t->pages, v->e.start, v->e.end, &ext);
	if (ext.where != PAGES_FILE || ext.nr_pages * PAGE_SIZE != len)
		return 0;
	*code = xmalloc(len);
	if (!*code)
		return -1;
	if (pread_full(ext.fd, *code, len, ext.off) == (ssize_t)len)
		return 0;
	pr_perror("Can't read the vDSO of task %d from its image", t->vpid);
	return -1;
}

/* Is some thread stopped inside of the area? Then its code cannot be replaced. */
static bool thread_inside(struct task *t, const struct vma *v)
{
	for_each_thread (th, t) {
		uint64_t ip = arch_core_ip(th->core);

		if (ip >= v->e.start && ip < v->e.end)
			return true;
	}
	return false;
}

/* Maps this kernel's vDSO with its data pages beginning at VVAR. */
static int map_own(struct puppet *p, uint64_t vvar)
{
	prog_reset(p);
	prog_add(p, RC_STOP, __NR_arch_prctl, ARCH_MAP_VDSO_64, vvar);
	return prog_run(p);
}

static int write_memory(struct puppet *p, uint64_t addr, const void *buf, size_t len)
{
	struct iovec l = { (void *)buf, len }, r = { (void *)addr, len };

	if (process_vm_writev(p->tid, &l, 1, &r, 1, 0) == (ssize_t)len)
		return 0;
	pr_perror("Can't write the old vDSO of task %d at %#lx", p->image_tid, addr);
	return -1;
}

/*
 * The task's vDSO becomes ordinary memory with its old code, each function of which begins with a jump into this kernel's, mapped
 * beside the arena. Its old data pages are not needed: nothing of the old code but the jumps runs.
 */
static int map_both(struct op *op, struct task *t, struct vma *v, const char *old_code,
		    const struct own_vdso *own)
{
	struct puppet *p = leader(t)->puppet;
	uint64_t len = v->e.end - v->e.start, new_base = op->vdso_hole + own->vvar_len;
	struct vdso_patch patches[VDSO_FUNCTIONS];
	struct vdso_symbols old, new;
	int nr;

	if (vdso_parse(old_code, len, &old) || vdso_parse((void *)own->vdso, own->vdso_len, &new))
		return -1;
	nr = vdso_plan_jumps(&old, v->e.start, &new, new_base, patches);
	if (nr < 0 || map_own(p, op->vdso_hole))
		return -1;
	pr_info("Task %d: %d functions of its kernel's vDSO lead into this kernel's at %#lx",
		t->vpid, nr, new_base);
	prog_reset(p);
	if (v->inherited)
		prog_add(p, RC_STOP, __NR_munmap, v->e.start, len);
	prog_add(p, RC_STOP, __NR_mmap, v->e.start, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (prog_run(p) || write_memory(p, v->e.start, old_code, len))
		return -1;
	for (int i = 0; i < nr; i++)
		if (write_memory(p, patches[i].addr, patches[i].code, patches[i].len))
			return -1;
	prog_reset(p);
	prog_add(p, RC_STOP, __NR_mprotect, v->e.start, len, PROT_READ | PROT_EXEC);
	return prog_run(p);
}

static int find_own_once(struct own_vdso *own)
{
	if (!own->vdso && proc_read_maps(AT_FDCWD, "/proc/self/maps", find_own, own))
		return -1;
	if (own->vdso)
		return 0;
	pr_err("This kernel has no vDSO, but the tasks had one");
	return -1;
}

static struct own_vdso own;

uint64_t vdso_room(void)
{
	return find_own_once(&own) ? 0 : own.vvar_len + own.vdso_len;
}

int vdso_restore(struct op *op, struct task *t)
{
	struct vma *vdso = find_vma(t, VMA_VDSO), *vvar = find_vma(t, VMA_VVAR);
	cleanup_free char *old_code = NULL;
	struct vdso_symbols old, new;
	bool in_place;

	if (!vdso)
		return 0;
	if (find_own_once(&own))
		return -1;
	/* the same layout: this kernel's can lie where the task's was */
	in_place = vdso->e.end - vdso->e.start == own.vdso_len &&
		   (!vvar || vvar->e.start == vdso->e.start - own.vvar_len);
	if (read_old(t, vdso, &old_code))
		return -1;
	if (old_code &&
	    memcmp(old_code, (void *)own.vdso, min(vdso->e.end - vdso->e.start, own.vdso_len))) {
		if (thread_inside(t, vdso)) {
			pr_err("Task %d was stopped inside of its kernel's vDSO, and this kernel "
			       "has another one: dump it again",
			       t->vpid);
			return -1;
		}
		in_place = in_place && !vdso_parse(old_code, own.vdso_len, &old) &&
			   !vdso_parse((void *)own.vdso, own.vdso_len, &new) &&
			   vdso_same_entries(&old, &new);
	}
	if (in_place)
		return vdso->inherited ? 0
				       : map_own(leader(t)->puppet, vdso->e.start - own.vvar_len);
	if (!old_code) {
		pr_err("Task %d had another vDSO than this kernel's, and its image does not hold "
		       "it",
		       t->vpid);
		return -1;
	}
	return map_both(op, t, vdso, old_code, &own);
}
