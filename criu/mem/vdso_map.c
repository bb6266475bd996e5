// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vDSO belongs to the kernel that runs the task. arch_prctl(ARCH_MAP_VDSO_64) maps this kernel's (data pages first, code
 * behind them) at an address of our choice, also into a time namespace's task, whose data pages differ.
 */
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "mem/mem.h"
#include "mem/pagemap.h"
#include "mem/vdso_map.h"
#include "proc/proc.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/log.h"

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

/* Is the vDSO that the task had, as far as its image holds it, the one of this kernel? */
static bool same_vdso(struct task *t, const struct vma *v, const struct own_vdso *own)
{
	cleanup_free char *buf = NULL;
	uint64_t len = v->e.end - v->e.start;
	struct page_extent ext;

	if (len != own->vdso_len || !t->pages)
		return len == own->vdso_len;
	pagemap_extent(t->pages, v->e.start, v->e.end, &ext);
	if (ext.where != PAGES_FILE || ext.nr_pages * PAGE_SIZE != len)
		return true; /* not saved: nothing to compare with */
	buf = xmalloc(len);
	if (!buf || pread_full(ext.fd, buf, len, ext.off) != (ssize_t)len)
		return false;
	return !memcmp(buf, (void *)own->vdso, len);
}

int vdso_restore(struct op *op, struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	struct vma *vdso = find_vma(t, VMA_VDSO), *vvar = find_vma(t, VMA_VVAR);
	static struct own_vdso own;
	uint64_t at;

	if (!vdso || vdso->inherited)
		return 0;
	if (!own.vdso && proc_read_maps(AT_FDCWD, "/proc/self/maps", find_own, &own))
		return -1;
	if (!own.vdso) {
		pr_err("This kernel has no vDSO, but task %d had one", t->vpid);
		return -1;
	}
	at = vdso->e.start - own.vvar_len;
	if (!same_vdso(t, vdso, &own) || (vvar && vvar->e.start != at)) {
		pr_err("Task %d comes from a kernel with another vDSO: not supported yet", t->vpid);
		return -1;
	}
	prog_reset(p);
	prog_add(p, RC_STOP, __NR_arch_prctl, ARCH_MAP_VDSO_64, at);
	return prog_run(p);
}
