// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contents of restored memory, straight from the pages files into place. Two ways:
 *  - the puppet reads (preadv): any private area, copy-on-write ones too;
 *  - large stretches of anonymous memory are copied by criu with UFFDIO_COPY (userfaultfd(2)) from the mapped file, on two threads:
 *    the kernel then need not clear the pages first.
 */
#include "util/xmalloc.h"

#include "mem/fill.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "mem/bulk.h"
#include "mem/eager.h"
#include "mem/mem.h"
#include "mem/pagemap.h"
#include "mem/reverse.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/log.h"

/* ---- contents ---- */

struct fill {
	struct op *op;
	struct task *t;
	struct iovec iov[1024];
	unsigned nr_iov;
	int fd;
	uint64_t off, len; /* where the queued bytes begin in the file, how many */
	/* copy-on-write: the pages files of the parent and ours, with the links behind them, mapped */
	struct pages_map {
		int fd;
		const char *map;
		size_t len;
	} * maps;
	size_t nr_maps, cap_maps;
	struct bulk bulk;
	struct eager eager;
};

static int fill_flush(struct fill *f)
{
	struct puppet *p = leader(f->t)->puppet;
	struct iovec *iov = f->iov;
	unsigned nr = f->nr_iov;
	uint64_t off = f->off;

	f->nr_iov = 0;
	f->len = 0;
	while (nr) {
		ssize_t n;

		prog_reset(p);
		n = puppet_call(p, __NR_preadv, f->fd, prog_buf(p, iov, nr * sizeof(*iov)), nr, off,
				0);
		if (n <= 0) {
			errno = n ? -n : ENODATA;
			pr_perror("Can't read the pages of task %d at offset %#lx of their image",
				  f->t->vpid, off);
			return -1;
		}
		off += n;
		iov_advance(&iov, &nr, n);
	}
	return 0;
}

static int fill_add(struct fill *f, uint64_t addr, int fd, uint64_t off, uint64_t len)
{
	while (len) {
		uint64_t part = min(len, 1UL << 30);

		if (f->nr_iov &&
		    (f->fd != fd || f->off + f->len != off || f->nr_iov == ARRAY_SIZE(f->iov) ||
		     f->len + part > 1UL << 30) &&
		    fill_flush(f))
			return -1;
		if (!f->nr_iov) {
			f->fd = fd;
			f->off = off;
		}
		f->iov[f->nr_iov++] = (struct iovec){ (void *)addr, part };
		f->len += part;
		addr += part;
		off += part;
		len -= part;
	}
	return 0;
}

/* NULL where the file is not mapped that far. */
static const char *mapped_page(const struct fill *f, int fd, uint64_t off)
{
	for (size_t i = 0; i < f->nr_maps; i++)
		if (f->maps[i].fd == fd)
			return off + PAGE_SIZE <= f->maps[i].len ? f->maps[i].map + off : NULL;
	return NULL;
}

/* The bytes of a page in the parent, NULL where we have not got them mapped. */
static const char *parent_page(struct fill *f, uint64_t addr)
{
	struct page_extent ext;

	if (!f->t->parent->pages)
		return NULL;
	pagemap_extent(f->t->parent->pages, addr, addr + PAGE_SIZE, &ext);
	/* what the parent has yet to get was not inherited */
	if (ext.where != PAGES_FILE || (opts.lazy_pages && (ext.lazy || ext.parent)))
		return NULL;
	return mapped_page(f, ext.fd, ext.off);
}

/* A stretch of an inherited area: only what differs from the parent is written. */
static int fill_cow(struct fill *f, const struct page_extent *ext)
{
	uint64_t run = 0; /* pages before AT that must be written */

	for (uint64_t i = 0; i < ext->nr_pages; i++) {
		uint64_t off = ext->off + i * PAGE_SIZE;
		const char *theirs = parent_page(f, ext->start + i * PAGE_SIZE);
		const char *own = mapped_page(f, ext->fd, off);
		bool same = theirs && own && !memcmp(own, theirs, PAGE_SIZE);

		f->op->stats.pages_compared += theirs != NULL;
		f->op->stats.pages_skipped_cow += same;
		if (!same) {
			run++;
			continue;
		}
		if (run && fill_add(f, ext->start + (i - run) * PAGE_SIZE, ext->fd,
				    off - run * PAGE_SIZE, run * PAGE_SIZE))
			return -1;
		run = 0;
	}
	return !run ? 0
		    : fill_add(f, ext->start + (ext->nr_pages - run) * PAGE_SIZE, ext->fd,
			       ext->off + (ext->nr_pages - run) * PAGE_SIZE, run * PAGE_SIZE);
}

static int drop_pages(struct fill *f, uint64_t start, uint64_t len)
{
	long ret = puppet_call(leader(f->t)->puppet, __NR_madvise, start, len, MADV_DONTNEED);

	if (!ret)
		return 0;
	errno = -ret;
	pr_perror("Task %d: can't drop inherited pages at %#lx", f->t->vpid, start);
	return -1;
}

/* Pages that the parent has and the child has not: they must not shine through. */
static int drop_parents_pages(struct fill *f, uint64_t start, uint64_t end)
{
	if (!f->t->parent->pages)
		return 0;
	for (uint64_t at = start; at < end;) {
		struct page_extent ext;

		pagemap_extent(f->t->parent->pages, at, end, &ext);
		if (ext.where == PAGES_FILE && drop_pages(f, at, ext.nr_pages * PAGE_SIZE))
			return -1;
		at += ext.nr_pages * PAGE_SIZE;
	}
	return 0;
}

/* Of a lazy stretch: the few pages that are wanted at once, where their bytes are at hand (mem/eager.h). */
static int fill_eager(struct fill *f, struct vma *v, uint64_t start, uint64_t end)
{
	struct page_extent ext;
	uint64_t next;
	bool eager;

	for (uint64_t at = start; at < end; at = next) {
		next = eager_piece(&f->eager, at, end, &eager);
		v->bare &= !eager;
		for (uint64_t page = at; eager && page < next; page += PAGE_SIZE) {
			pagemap_extent(f->t->pages, page, page + PAGE_SIZE, &ext);
			if (ext.where == PAGES_FILE &&
			    fill_add(f, page, ext.fd, ext.off, PAGE_SIZE))
				return -1;
		}
	}
	return 0;
}

/*
 * The pages from AT on, before END, that are left to the lazy-pages daemon; 0: the next is not. Those of parent images are left
 * too: the daemon has them at hand, and to copy them all would take its time. Seen from the runs alone: a chain of a busy task
 * has very many.
 */
static uint64_t left_to_daemon(const struct fill *f, const struct vma *v, uint64_t at, size_t *run)
{
	const struct pagemap *pm = f->t->pages;
	const struct page_run *r;

	if (!opts.lazy_pages || !pm || !vma_lazy(v))
		return 0;
	while (*run < pm->nr && pm->runs[*run].start + pm->runs[*run].nr_pages * PAGE_SIZE <= at)
		++*run;
	r = &pm->runs[*run];
	if (*run == pm->nr || r->start > at || !(r->flags & (PE_LAZY | PE_PARENT)))
		return 0;
	return min(r->start + r->nr_pages * PAGE_SIZE, v->e.end) - at;
}

/* A huge page is there or is not: whatever restore put into it, the daemon could not bring the rest. */
static int check_torn(const struct fill *f, const struct vma *v, uint64_t at, uint64_t len)
{
	if (!hugetlb(v->e.flags) || !((at | len) % HUGE_SIZE))
		return 0;
	pr_err("pagemap-%d.img: the huge page at %#lx is lazy in part: restore it without "
	       "--lazy-pages",
	       f->t->vpid, round_down(at, HUGE_SIZE));
	return -1;
}

static int leave(struct fill *f, struct vma *v, uint64_t start, uint64_t len)
{
	f->t->nr_lazy += len / PAGE_SIZE;
	/* the parent's eager pages hide that ours are missing */
	if (v->inherited && (fill_flush(f) || drop_pages(f, start, len)))
		return -1;
	return fill_eager(f, v, start, start + len);
}

static int fill_stretch(struct fill *f, const struct vma *v, const struct page_extent *ext)
{
	uint64_t len = ext->nr_pages * PAGE_SIZE;

	if (v->inherited)
		return fill_cow(f, ext);
	if ((v->e.status & VMA_ANON_PRIVATE) && !hugetlb(v->e.flags) && len >= BULK_MIN_STRETCH)
		return bulk_add(&f->bulk, ext->start, ext->fd, ext->off, len);
	return fill_add(f, ext->start, ext->fd, ext->off, len);
}

/*
 * Transparent huge pages, where they come unasked: the first page that is written brings 2 MiB, and all others of these are zeros which exist. UFFDIO_COPY does not
 * replace them, neither ours nor that of the lazy-pages daemon. So there are none until everything is in place; mm_finish() sets what the task had.
 */
static int allow_thp(struct fill *f, bool allow)
{
	long ret = puppet_call(leader(f->t)->puppet, __NR_prctl, PR_SET_THP_DISABLE, !allow, 0, 0,
			       0);

	if (!ret)
		return 0;
	errno = -ret;
	pr_perror("Task %d: can't turn transparent huge pages %s", f->t->vpid,
		  allow ? "on" : "off");
	return -1;
}

/* Large stretches come last: when there are only few, the puppet reads them like the others. */
static int fill_bulk(struct fill *f)
{
	if (f->bulk.len >= BULK_MIN_TOTAL)
		return fill_flush(f) || bulk_run(&f->bulk, f->t) ? -1 : 0;
	if (fill_flush(f) || (f->bulk.nr && !opts.lazy_pages && allow_thp(f, true)))
		return -1;
	for (size_t i = 0; i < f->bulk.nr; i++) {
		const struct bulk_job *j = &f->bulk.jobs[i];

		if (fill_add(f, j->dst, j->fd, j->off, j->len))
			return -1;
	}
	return fill_flush(f);
}

static int fill_vma(struct fill *f, struct vma *v)
{
	size_t run = f->t->pages ? pagemap_find(f->t->pages, v->e.start) : 0;
	uint64_t nr_lazy = f->t->nr_lazy;

	v->bare = true;
	for (uint64_t at = v->e.start, len; at < v->e.end; at += len) {
		struct page_extent ext;

		len = left_to_daemon(f, v, at, &run);
		if (len) {
			if (check_torn(f, v, at, len) || leave(f, v, at, len))
				return -1;
			continue;
		}
		if (!f->t->pages)
			ext = (struct page_extent){ .where = PAGES_HOLE,
						    .start = at,
						    .nr_pages = (v->e.end - at) / PAGE_SIZE };
		else
			pagemap_extent(f->t->pages, at, v->e.end, &ext);
		len = ext.nr_pages * PAGE_SIZE;
		if (ext.where == PAGES_REMOTE) {
			pr_err("Pages of task %d at %#lx stayed on the source: restore with "
			       "--lazy-pages (and start 'criu lazy-pages --page-server' first)",
			       f->t->vpid, at);
			return -1;
		}
		v->bare &= ext.where != PAGES_FILE;
		if (ext.where == PAGES_FILE) {
			f->op->stats.pages_restored += ext.nr_pages;
			if (fill_stretch(f, v, &ext))
				return -1;
		} else if (v->inherited && (fill_flush(f) || drop_parents_pages(f, at, at + len))) {
			return -1;
		}
	}
	v->bare &= f->t->nr_lazy != nr_lazy;
	return 0;
}

static int map_pages_files(struct fill *f, const struct pagemap *pm)
{
	for (; pm; pm = pm->parent) {
		void *m;

		if (pm->pages_fd < 0 || !pm->pages_size)
			continue;
		m = mmap(NULL, pm->pages_size, PROT_READ, MAP_SHARED, pm->pages_fd, 0);
		if (m == MAP_FAILED)
			continue; /* then nothing is shared, which costs memory only */
		if (xgrow(&f->maps, &f->cap_maps, f->nr_maps, sizeof(*f->maps))) {
			munmap(m, pm->pages_size);
			return -1;
		}
		f->maps[f->nr_maps++] = (struct pages_map){ pm->pages_fd, m, pm->pages_size };
	}
	return 0;
}

int fill_pages(struct op *op, struct task *t)
{
	struct fill *f = xzalloc(sizeof(*f));
	int ret = 0;

	if (!f)
		return -1;
	f->op = op;
	f->t = t;
	f->fd = -1;
	if (allow_thp(f, false) || (opts.lazy_pages && eager_find(t, &f->eager)))
		ret = -1;
	if (t->parent && !ret)
		ret = map_pages_files(f, t->pages) ?: map_pages_files(f, t->parent->pages);
	for (size_t i = 0; i < t->nr_vmas && !ret; i++)
		if (vma_private(&t->vmas[i]) && !vma_special(&t->vmas[i]) &&
		    !vma_droppable(&t->vmas[i]))
			ret = fill_vma(f, &t->vmas[i]);
	if (!ret)
		ret = fill_bulk(f) || make_reverse_maps(op, t) ? -1 : 0;
	bulk_free(&f->bulk);
	free(f->eager.pages);
	while (f->nr_maps--)
		munmap((void *)f->maps[f->nr_maps].map, f->maps[f->nr_maps].len);
	free(f->maps);
	free(f);
	return ret;
}
