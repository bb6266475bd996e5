// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/vm_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mem/guard.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mmap_flags.h"
#include "util/vma_iter.h"

#define WORTH	   (64UL << 20) /* bytes of memory */
#define MAX_LEVEL  64		/* of the tree, while its size is estimated */
#define HUGE_SIZE  (2UL << 20)
#define MAX_PROBES 64 /* a bit of a word each */

/* Bits of the kernel that are always set together on our pages, and the flags that smaps shows where they are. */
struct meaning {
	uint64_t bits, flags, where; /* WHERE: on which of our pages */
};

struct vm_flags {
	int iter;
	uint64_t met; /* bits that were seen at all */
	unsigned nr;
	struct meaning m[64];
};

/* ---- pages that have a property each ---- */

struct probes {
	char *base; /* of an inaccessible area, in which every second page may be used: equal neighbours would become one area */
	unsigned nr;
	char *huge;
	int uffd;
};

static void *next_page(struct probes *p)
{
	return p->base + (2 * p->nr++ + 1) * PAGE_SIZE;
}

static void *map_probe(struct probes *p, int flags, int fd)
{
	void *at = next_page(p), *got;

	got = mmap(at, PAGE_SIZE, fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ, flags | MAP_FIXED,
		   fd, 0);
	return got == MAP_FAILED ? NULL : got;
}

static void advised(struct probes *p, int advice)
{
	void *at = map_probe(p, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (at)
		madvise(at, PAGE_SIZE, advice);
}

static void locked(struct probes *p, unsigned flags)
{
	void *at = map_probe(p, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (at)
		syscall(SYS_mlock2, at, PAGE_SIZE, flags);
}

static void registered(struct probes *p, uint64_t mode)
{
	int kind = mode == UFFDIO_REGISTER_MODE_MINOR ? MAP_SHARED : MAP_PRIVATE;
	void *at = map_probe(p, kind | MAP_ANONYMOUS, -1);
	struct uffdio_register r = { .range = { (uintptr_t)at, PAGE_SIZE }, .mode = mode };

	if (at)
		ioctl(p->uffd, UFFDIO_REGISTER, &r);
}

/* What fails here stays unknown, no more. */
static void make_all(struct probes *p)
{
	static const int advices[] = { MADV_SEQUENTIAL, MADV_RANDOM,	 MADV_DONTFORK,
				       MADV_HUGEPAGE,	MADV_NOHUGEPAGE, MADV_MERGEABLE,
				       MADV_DONTDUMP,	MADV_WIPEONFORK, MADV_GUARD_INSTALL };
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_MINOR_SHMEM |
					      UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	cleanup_close int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		advised(p, advices[i]);
	map_probe(p, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map_probe(p, MAP_SHARED | MAP_ANONYMOUS, -1);
	map_probe(p, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	map_probe(p, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1);
	map_probe(p, MAP_DROPPABLE | MAP_ANONYMOUS, -1);
	if (file >= 0) {
		map_probe(p, MAP_PRIVATE, file);
		map_probe(p, MAP_SHARED, file);
	}
	locked(p, 0);
	locked(p, MLOCK_ONFAULT);
	p->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (p->uffd >= 0 && !ioctl(p->uffd, UFFDIO_API, &api)) {
		registered(p, UFFDIO_REGISTER_MODE_MISSING);
		registered(p, UFFDIO_REGISTER_MODE_WP);
		registered(p, UFFDIO_REGISTER_MODE_MINOR);
	}
	p->huge = mmap(NULL, HUGE_SIZE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
}

static int probes_make(struct probes *p)
{
	*p = (struct probes){ .uffd = -1, .huge = MAP_FAILED };
	p->base = mmap(NULL, (2 * MAX_PROBES + 1) * PAGE_SIZE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->base == MAP_FAILED)
		return -1;
	make_all(p);
	return 0;
}

static void probes_end(struct probes *p)
{
	close_safe(&p->uffd);
	if (p->huge != MAP_FAILED)
		munmap(p->huge, HUGE_SIZE);
	munmap(p->base, (2 * MAX_PROBES + 1) * PAGE_SIZE);
}

/* ---- learning ---- */

struct lesson {
	const struct probes *p;
	const struct vma_raw *raw;
	size_t nr_raw;
	unsigned nr;		      /* areas that were compared */
	uint64_t bits[64], flags[64]; /* of each bit, and each VMF_*: the areas that have it */
};

/* One of our pages; also the kernel's own areas (vDSO, vvar), which have flags that others cannot have. */
static bool is_probe(const struct probes *p, const struct proc_vma *v)
{
	uint64_t base = (uintptr_t)p->base;

	if (v->start >= base && v->end <= base + (2 * MAX_PROBES + 1) * PAGE_SIZE)
		return true;
	return v->start == (uintptr_t)p->huge || !strncmp(v->path, "[v", 2);
}

static int compare(const struct proc_vma *v, void *arg)
{
	struct lesson *l = arg;
	const struct vma_raw *raw = NULL;

	if (!is_probe(l->p, v) || l->nr == MAX_PROBES)
		return 0;
	for (size_t i = 0; i < l->nr_raw && !raw; i++)
		if (l->raw[i].start == v->start && l->raw[i].end == v->end)
			raw = &l->raw[i];
	if (!raw)
		return 0;
	for (unsigned i = 0; i < 64; i++) {
		l->bits[i] |= (raw->flags >> i & 1) << l->nr;
		l->flags[i] |= (v->vm_flags >> i & 1) << l->nr;
	}
	l->nr++;
	return 0;
}

static struct meaning *meaning_of(struct vm_flags *f, uint64_t where)
{
	for (unsigned i = 0; i < f->nr; i++)
		if (f->m[i].where == where)
			return &f->m[i];
	f->m[f->nr] = (struct meaning){ .where = where };
	return &f->m[f->nr++];
}

static void conclude(struct vm_flags *f, const struct lesson *l)
{
	for (unsigned i = 0; i < 64; i++)
		if (l->bits[i]) {
			meaning_of(f, l->bits[i])->bits |= 1ULL << i;
			f->met |= 1ULL << i;
		}
	for (unsigned i = 0; i < 64; i++)
		for (unsigned k = 0; k < f->nr; k++)
			if (l->flags[i] == f->m[k].where)
				f->m[k].flags |= 1ULL << i;
}

static int learn(struct vm_flags *f, const struct probes *p)
{
	cleanup_free struct vma_raw *raw = NULL;
	struct lesson l = { .p = p };

	if (vma_iter_read(f->iter, getpid(), &raw, &l.nr_raw))
		return -1;
	l.raw = raw;
	if (proc_read_smaps(AT_FDCWD, "/proc/self/smaps", compare, &l))
		return -1;
	conclude(f, &l);
	return 0;
}

struct vm_flags *vm_flags_learn(void)
{
	struct vm_flags *f = xzalloc(sizeof(*f));
	struct probes p;
	int ret = -1;

	if (!f)
		return NULL;
	f->iter = vma_iter_open();
	if (f->iter >= 0 && !probes_make(&p)) {
		ret = learn(f, &p);
		probes_end(&p);
	}
	if (!ret)
		return f;
	vm_flags_free(f);
	return NULL;
}

void vm_flags_free(struct vm_flags *f)
{
	if (f)
		close_safe(&f->iter);
	free(f);
}

/* ---- using it ---- */

/* False: there is something that was not learned. */
static bool translate(const struct vm_flags *f, uint64_t bits, uint64_t *flags)
{
	*flags = 0;
	if (bits & ~f->met)
		return false;
	for (unsigned i = 0; i < f->nr; i++) {
		const struct meaning *m = &f->m[i];

		if ((bits & m->bits) == m->bits)
			*flags |= m->flags;
		else if ((bits & m->bits) && (m->flags & VM_FLAGS_KNOWN))
			return false; /* two that always came together, and now one comes alone */
	}
	*flags &= VM_FLAGS_KNOWN;
	return true;
}

int vm_flags_read(const struct vm_flags *f, pid_t pid, proc_vma_fn cb, void *arg)
{
	cleanup_free struct vma_raw *raw = NULL;
	uint64_t flags;
	size_t nr;
	int ret;

	if (vma_iter_read(f->iter, pid, &raw, &nr) || !nr)
		return 1;
	for (size_t i = 0; i < nr; i++)
		if (!translate(f, raw[i].flags, &flags)) {
			pr_debug("task %d: flags 0x%lx at 0x%lx are not known: reading smaps", pid,
				 raw[i].flags, raw[i].start);
			return 1;
		}
	for (size_t i = 0; i < nr; i++) {
		struct proc_vma v = { .start = raw[i].start, .end = raw[i].end };

		translate(f, raw[i].flags, &v.vm_flags);
		v.shared = v.vm_flags & VMF_MS;
		ret = cb(&v, arg);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- is it worth it ---- */

static uint64_t rss_of(int proc)
{
	cleanup_free char *text = read_file_at(proc, "statm", NULL);
	unsigned long pages;

	return text && sscanf(text, "%*u %lu", &pages) == 1 ? pages * PAGE_SIZE : 0;
}

static uint64_t tree_size(pid_t pid, unsigned level)
{
	char path[32];
	cleanup_close int proc = -1, tasks = -1;
	cleanup_closedir DIR *dir = NULL;
	struct dirent *e;
	uint64_t size;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return 0;
	size = rss_of(proc);
	tasks = openat(proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = tasks < 0 ? NULL : fdopendir(tasks);
	if (!dir)
		return size;
	tasks = -1;
	while (size < WORTH && level < MAX_LEVEL && (e = readdir(dir))) {
		cleanup_free char *of = NULL;
		cleanup_free pid_t *pids = NULL;
		size_t nr = 0;

		if (*e->d_name == '.')
			continue;
		of = xasprintf("%s/children", e->d_name);
		if (!of || faccessat(dirfd(dir), of, R_OK, 0) ||
		    proc_read_children(dirfd(dir), of, &pids, &nr))
			continue;
		for (size_t i = 0; i < nr && size < WORTH; i++)
			size += tree_size(pids[i], level + 1);
	}
	return size;
}

bool vm_flags_worth(pid_t root)
{
	return tree_size(root, 0) >= WORTH;
}
