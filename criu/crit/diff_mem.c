// SPDX-License-Identifier: GPL-2.0-only
/* crit diff: areas that came, went or changed, and how many pages of each have other contents. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "diff.h"
#include "mem/pagemap.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define CHUNK (1UL << 20)

struct memory {
	const struct checkpoint *ck;
	MmEntry *mm;
	struct pagemap *pm;
};

struct pages_diff {
	uint64_t nr, unknown; /* pages that differ; that stayed on a source */
	char *a, *b;	      /* CHUNK bytes each */
};

static int open_memory(struct memory *m, const struct checkpoint *ck, uint32_t pid)
{
	m->ck = ck;
	m->mm = checkpoint_mm(ck, pid);
	if (!m->mm || checkpoint_check_vmas(m->mm, pid))
		return -1;
	m->pm = pagemap_open(ck->dir, IMG_PAGEMAP, pid);
	return m->pm || errno == ENOENT ? 0 : -1;
}

static void close_memory(struct memory *m)
{
	if (m->mm)
		mm_entry__free_unpacked(m->mm, NULL);
	pagemap_close(m->pm);
}

static void extent(const struct memory *m, uint64_t at, uint64_t end, struct page_extent *ext)
{
	if (m->pm)
		pagemap_extent(m->pm, at, end, ext);
	else
		*ext = (struct page_extent){ .where = PAGES_HOLE,
					     .start = at,
					     .fd = -1,
					     .nr_pages = (end - at) / PAGE_SIZE };
}

/* Is it the very same place on disk, as between hard links? */
static bool same_place(const struct page_extent *a, const struct page_extent *b)
{
	struct stat x, y;

	return a->where == PAGES_FILE && b->where == PAGES_FILE && a->off == b->off &&
	       !fstat(a->fd, &x) && !fstat(b->fd, &y) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int read_pages(const struct page_extent *e, char *buf, size_t len)
{
	if (e->where == PAGES_HOLE) {
		memset(buf, 0, len);
		return 0;
	}
	if (pread_full(e->fd, buf, len, e->off) == (ssize_t)len)
		return 0;
	pr_perror("Can't read %zu bytes of pages at 0x%" PRIx64, len, e->start);
	return -1;
}

/* Pages [at, at + nr) of both, each in one place. */
static int compare(struct pages_diff *p, const struct page_extent *a, const struct page_extent *b,
		   uint64_t nr)
{
	size_t len = nr * PAGE_SIZE;

	if (a->where == PAGES_REMOTE || b->where == PAGES_REMOTE) {
		p->unknown += nr;
		return 0;
	}
	if ((a->where == PAGES_HOLE && b->where == PAGES_HOLE) || same_place(a, b))
		return 0;
	if (read_pages(a, p->a, len) || read_pages(b, p->b, len))
		return -1;
	for (size_t i = 0; i < len; i += PAGE_SIZE)
		p->nr += memcmp(p->a + i, p->b + i, PAGE_SIZE) != 0;
	return 0;
}

static int diff_pages(struct diff *d, const struct memory *ma, const struct memory *mb,
		      const VmaEntry *v, uint64_t end, struct pages_diff *p)
{
	cleanup_free char *name = vma_describe(ma->ck, v);
	struct page_extent a, b;
	uint64_t nr;
	char prot[5];

	p->nr = p->unknown = 0;
	for (uint64_t at = v->start; at < end; at += nr * PAGE_SIZE) {
		extent(ma, at, end, &a);
		extent(mb, at, end, &b);
		nr = min(a.nr_pages, b.nr_pages);
		if (a.where == PAGES_FILE || b.where == PAGES_FILE)
			nr = min(nr, (uint64_t)CHUNK / PAGE_SIZE);
		if (compare(p, &a, &b, nr))
			return -1;
	}
	vma_prot_text(v, prot);
	if (p->nr)
		differs(d,
			"%" PRIu64 " of %" PRIu64 " pages changed in %" PRIx64 "-%" PRIx64 " %s %s",
			p->nr, (end - v->start) / PAGE_SIZE, v->start, end, prot, name ?: "");
	if (p->unknown)
		differs(d,
			"%" PRIu64 " pages of %" PRIx64 "-%" PRIx64
			" %s %s stayed on a source and can't be compared",
			p->unknown, v->start, end, prot, name ?: "");
	return 0;
}

static void say_area(struct diff *d, const struct checkpoint *ck, const VmaEntry *v,
		     const char *what)
{
	cleanup_free char *name = vma_describe(ck, v);
	char prot[5];

	vma_prot_text(v, prot);
	differs(d, "area %" PRIx64 "-%" PRIx64 " %s %s: %s", v->start, v->end, prot, name ?: "",
		what);
}

/* Two areas that begin at the same address. */
static int diff_area(struct diff *d, const struct memory *a, const struct memory *b,
		     const VmaEntry *va, const VmaEntry *vb, struct pages_diff *p)
{
	char pa[5], pb[5];

	vma_prot_text(va, pa);
	vma_prot_text(vb, pb);
	if (va->end != vb->end)
		differs(d, "area %" PRIx64 ": end %" PRIx64 " -> %" PRIx64, va->start, va->end,
			vb->end);
	if (strcmp(pa, pb))
		differs(d, "area %" PRIx64 ": %s -> %s", va->start, pa, pb);
	if (va->status != vb->status || va->pgoff != vb->pgoff)
		differs(d, "area %" PRIx64 ": maps something else (status 0x%x -> 0x%x)", va->start,
			va->status, vb->status);
	return diff_pages(d, a, b, va, min(va->end, vb->end), p);
}

static int diff_areas(struct diff *d, const struct memory *a, const struct memory *b,
		      struct pages_diff *p)
{
	size_t i = 0, k = 0;

	while (i < a->mm->n_vmas || k < b->mm->n_vmas) {
		const VmaEntry *va = i < a->mm->n_vmas ? a->mm->vmas[i] : NULL;
		const VmaEntry *vb = k < b->mm->n_vmas ? b->mm->vmas[k] : NULL;

		if (!vb || (va && va->start < vb->start)) {
			say_area(d, a->ck, va, "gone");
			i++;
		} else if (!va || vb->start < va->start) {
			say_area(d, b->ck, vb, "new");
			k++;
		} else {
			if (diff_area(d, a, b, va, vb, p))
				return -1;
			i++, k++;
		}
	}
	if (a->mm->mm_brk != b->mm->mm_brk)
		differs(d, "brk: 0x%" PRIx64 " -> 0x%" PRIx64, a->mm->mm_brk, b->mm->mm_brk);
	return 0;
}

int diff_memory(struct diff *d)
{
	struct memory a = { 0 }, b = { 0 };
	struct pages_diff p = { .a = xmalloc(CHUNK), .b = xmalloc(CHUNK) };
	int ret = -1;

	if (p.a && p.b && !open_memory(&a, &d->a, d->pid) && !open_memory(&b, &d->b, d->pid))
		ret = diff_areas(d, &a, &b, &p);
	close_memory(&a);
	close_memory(&b);
	free(p.a);
	free(p.b);
	return ret;
}
