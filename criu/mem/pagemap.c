// SPDX-License-Identifier: GPL-2.0-only
#include "mem/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/framing.h"
#include "pagemap.pb-c.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* A chain longer than this is a loop of symlinks. */
#define MAX_CHAIN 1000

static uint64_t run_end(const struct page_run *r)
{
	return r->start + r->nr_pages * PAGE_SIZE;
}

/* ---- writing ---- */

static unsigned last_pages_id;

int pagemap_create(struct pagemap_writer *w, int dirfd, enum image_type type, unsigned long id)
{
	PagemapHead head = PAGEMAP_HEAD__INIT;

	*w = (struct pagemap_writer){ .pages_id = ++last_pages_id };
	w->map = image_create(dirfd, type, id);
	if (!w->map)
		return -1;
	w->pages = image_create(dirfd, IMG_PAGES, w->pages_id);
	head.pages_id = w->pages_id;
	if (w->pages && !image_write(w->map, &head.base))
		return 0;
	image_close(w->map);
	image_close(w->pages);
	*w = (struct pagemap_writer){};
	return -1;
}

int page_run_write(struct image *map, struct page_run *r)
{
	PagemapEntry e = PAGEMAP_ENTRY__INIT;

	if (!r->nr_pages)
		return 0;
	e.vaddr = r->start;
	e.nr_pages = r->nr_pages;
	e.has_nr_pages = true;
	e.compat_nr_pages = min(r->nr_pages, (uint64_t)UINT32_MAX);
	e.flags = r->flags;
	e.has_flags = true;
	if (r->flags & PE_PARENT) {
		e.in_parent = true;
		e.has_in_parent = true;
	}
	r->nr_pages = 0;
	return image_write(map, &e.base);
}

int page_run_add(struct image *map, struct page_run *last, uint64_t start, uint64_t nr_pages,
		 uint32_t flags)
{
	if (last->nr_pages && run_end(last) == start && last->flags == flags) {
		last->nr_pages += nr_pages;
		return 0;
	}
	if (page_run_write(map, last))
		return -1;
	*last = (struct page_run){ .start = start, .nr_pages = nr_pages, .flags = flags };
	return 0;
}

int pagemap_add(struct pagemap_writer *w, uint64_t start, uint64_t nr_pages, uint32_t flags)
{
	if (flags & PE_PRESENT)
		w->nr_present += nr_pages;
	return page_run_add(w->map, &w->last, start, nr_pages, flags);
}

int pagemap_finish(struct pagemap_writer *w)
{
	int ret = 0;

	if (!w->map)
		return 0;
	ret |= page_run_write(w->map, &w->last);
	ret |= image_close(w->map);
	ret |= image_close(w->pages);
	*w = (struct pagemap_writer){};
	return ret ? -1 : 0;
}

/* ---- reading ---- */

static struct pagemap *open_chain(int dirfd, enum image_type type, unsigned long id,
				  unsigned depth);

static uint32_t entry_flags(const PagemapEntry *e)
{
	if (e->has_flags)
		return e->flags;
	/* images from before there were flags */
	return e->has_in_parent && e->in_parent ? PE_PARENT : PE_PRESENT;
}

/* Takes one entry into R, without its offset. What is wrong with it, or NULL. */
static const char *parse_run(const PagemapEntry *e, uint64_t prev_end, struct page_run *r)
{
	r->start = e->vaddr;
	r->nr_pages = e->has_nr_pages ? e->nr_pages : e->compat_nr_pages;
	if (entry_flags(e) & ~(PE_PARENT | PE_LAZY | PE_PRESENT))
		return "it has unknown flags";
	r->flags = entry_flags(e);

	if (r->start % PAGE_SIZE)
		return "its address is not a page's";
	if (!r->nr_pages)
		return "it has no pages";
	if (r->nr_pages > (UINT64_MAX - r->start) / PAGE_SIZE)
		return "it goes beyond the end of the address space";
	if (r->start < prev_end)
		return "it overlaps the run before it, or the runs are not sorted";
	if ((r->flags & PE_PARENT) && (r->flags & PE_PRESENT))
		return "it is both in the parent and in the pages file";
	return NULL;
}

/*
 * A busy task's chain has hundreds of thousands of runs, read while it stands still: they are decoded here, in a tenth of the
 * time. All fields are varints below 16. False: something else is in it, the library shall look.
 */
static bool decode_quickly(const uint8_t *p, uint32_t size, PagemapEntry *e)
{
	const uint8_t *end = p + size;
	uint64_t v[6] = { 0 };
	unsigned seen = 0;

	while (p < end) {
		unsigned field = *p >> 3, shift = 0;
		uint64_t value = 0;

		if ((*p++ & 0x87) || field < 1 || field > 5)
			return false;
		do {
			if (p == end || shift > 63)
				return false;
			value |= (uint64_t)(*p & 0x7f) << shift;
			shift += 7;
		} while (*p++ & 0x80);
		v[field] = value;
		seen |= 1 << field;
	}
	if (!(seen & 1 << 1) || !(seen & 1 << 2) || v[2] > UINT32_MAX || v[4] > UINT32_MAX)
		return false;
	e->vaddr = v[1];
	e->compat_nr_pages = v[2];
	e->has_in_parent = seen & 1 << 3;
	e->in_parent = v[3];
	e->has_flags = seen & 1 << 4;
	e->flags = v[4];
	e->has_nr_pages = seen & 1 << 5;
	e->nr_pages = v[5];
	return true;
}

/* 1: the next entry is in *E, 0: no more, -1 logged */
static int read_entry(struct image *img, PagemapEntry *e)
{
	off_t start = image_offset(img);
	PagemapEntry *slow;
	const uint8_t *p;
	uint32_t size;
	int ret = image_read_bytes(img, &p, &size);

	if (ret <= 0 || decode_quickly(p, size, e))
		return ret;
	ret = image_decode(img, &pagemap_entry__descriptor, start, p, size,
			   (ProtobufCMessage **)&slow);
	if (ret <= 0)
		return ret;
	*e = *slow;
	pagemap_entry__free_unpacked(slow, NULL);
	return 1;
}

static int read_runs(struct pagemap *pm, struct image *img, uint64_t *present)
{
	size_t cap = 0;
	uint64_t prev_end = 0;

	for (;;) {
		PagemapEntry e;
		struct page_run *r;
		const char *wrong;
		int ret = read_entry(img, &e);

		if (ret <= 0)
			return ret;
		if (xgrow(&pm->runs, &cap, pm->nr, sizeof(*pm->runs)))
			return -1;
		r = &pm->runs[pm->nr];
		*r = (struct page_run){};
		wrong = parse_run(&e, prev_end, r);
		if (wrong) {
			pr_err("%s: run %zu (0x%" PRIx64 ", %" PRIu64 " pages, flags 0x%x): %s",
			       image_name(img), pm->nr, r->start, r->nr_pages, entry_flags(&e),
			       wrong);
			return -1;
		}
		prev_end = run_end(r);
		if (r->flags & PE_PRESENT) {
			r->off_pages = *present;
			*present += r->nr_pages;
		}
		pm->in_parents |= r->flags & PE_PARENT;
		pm->has_lazy |= (r->flags & (PE_LAZY | PE_PRESENT | PE_PARENT)) == PE_LAZY;
		pm->nr++;
	}
}

static int open_pages(struct pagemap *pm, int dirfd, const char *map_name, uint32_t pages_id,
		      uint64_t present)
{
	char name[32];
	struct stat st;

	if (!present)
		return 0;
	snprintf(name, sizeof(name), "pages-%u.img", pages_id);
	pm->pages_fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (pm->pages_fd < 0 || fstat(pm->pages_fd, &st)) {
		pr_perror("%s: the pages of %s cannot be opened", name, map_name);
		return -1;
	}
	pm->pages_size = st.st_size;
	if (present > pm->pages_size / PAGE_SIZE) {
		pr_err("%s: has %" PRIu64 " bytes, but %s says that it holds %" PRIu64
		       " pages: truncated",
		       name, pm->pages_size, map_name, present);
		return -1;
	}
	return 0;
}

/*
 * Every page that a run says is in the parent must be named there: then its bytes are there, in a parent of that, which was
 * looked at before, or on the source. Both are sorted: one walk.
 */
static int check_in_parent(const struct pagemap *pm, const char *name)
{
	const struct pagemap *up = pm->parent;
	size_t k = 0;

	for (size_t i = 0; i < pm->nr; i++) {
		const struct page_run *r = &pm->runs[i];
		uint64_t at = r->start;

		while ((r->flags & PE_PARENT) && at < run_end(r)) {
			while (k < up->nr && run_end(&up->runs[k]) <= at)
				k++;
			if (k == up->nr || up->runs[k].start > at || !up->runs[k].flags) {
				pr_err("%s: the pages at 0x%" PRIx64
				       " are said to be in the parent images, which do not have "
				       "them",
				       name, at);
				return -1;
			}
			at = run_end(&up->runs[k]);
		}
	}
	return 0;
}

static int open_parents(struct pagemap *pm, int dirfd, enum image_type type, unsigned long id,
			unsigned depth)
{
	cleanup_close int dir = -1;
	cleanup_free char *name = image_file_name(type, id, NULL);

	if (!name)
		return -1;
	if (depth >= MAX_CHAIN) {
		pr_err("%s: more than %u parent directories: their \"parent\" links form a loop",
		       name, MAX_CHAIN);
		return -1;
	}
	dir = openat(dirfd, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		pr_perror("%s: has pages in parent images, but the link \"parent\" beside it cannot"
			  " be followed",
			  name);
		return -1;
	}
	pm->parent = open_chain(dir, type, id, depth + 1);
	if (!pm->parent) {
		if (errno == ENOENT)
			pr_err("%s: has pages in parent images, but there is no parent/%s", name,
			       name);
		return -1;
	}
	return check_in_parent(pm, name);
}

static int read_pagemap(struct pagemap *pm, int dirfd, struct image *img)
{
	PagemapHead *head;
	uint64_t present = 0;
	uint32_t pages_id;
	int ret;

	ret = image_read_as(img, &head);
	if (ret <= 0) {
		if (!ret)
			pr_err("%s: ends before its first entry", image_name(img));
		return -1;
	}
	pages_id = head->pages_id;
	pagemap_head__free_unpacked(head, NULL);
	return read_runs(pm, img, &present) ||
			       open_pages(pm, dirfd, image_name(img), pages_id, present)
		       ? -1
		       : 0;
}

struct pagemap *pagemap_open_alone(int dirfd, enum image_type type, unsigned long id)
{
	cleanup_image struct image *img = image_open(dirfd, type, id, false);
	struct pagemap *pm;

	if (!img)
		return NULL;
	pm = xzalloc(sizeof(*pm));
	if (!pm) {
		errno = ENOMEM;
		return NULL;
	}
	pm->pages_fd = -1;
	if (!read_pagemap(pm, dirfd, img))
		return pm;
	pagemap_close(pm);
	errno = EINVAL; /* never ENOENT: it is logged */
	return NULL;
}

static struct pagemap *open_chain(int dirfd, enum image_type type, unsigned long id, unsigned depth)
{
	struct pagemap *pm = pagemap_open_alone(dirfd, type, id);

	if (!pm || !pm->in_parents || !open_parents(pm, dirfd, type, id, depth))
		return pm;
	pagemap_close(pm);
	errno = EINVAL;
	return NULL;
}

int pagemap_open_parents(struct pagemap *pm, int dirfd, enum image_type type, unsigned long id)
{
	return pm->in_parents ? open_parents(pm, dirfd, type, id, 0) : 0;
}

struct pagemap *pagemap_open(int dirfd, enum image_type type, unsigned long id)
{
	return open_chain(dirfd, type, id, 0);
}

void pagemap_keep(struct pagemap *pm, uint32_t flags)
{
	struct page_run *smaller;
	size_t nr = 0;

	for (size_t i = 0; i < pm->nr; i++)
		if ((pm->runs[i].flags & flags) == flags)
			pm->runs[nr++] = pm->runs[i];
	pm->nr = nr;
	smaller = realloc(pm->runs, max(nr, (size_t)1) * sizeof(*pm->runs));
	if (smaller)
		pm->runs = smaller;
}

void pagemap_close(struct pagemap *pm)
{
	while (pm) {
		struct pagemap *parent = pm->parent;

		if (pm->pages_fd >= 0)
			close(pm->pages_fd);
		free(pm->runs);
		free(pm);
		pm = parent;
	}
}

size_t pagemap_find(const struct pagemap *pm, uint64_t addr)
{
	size_t lo = 0, hi = pm->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (run_end(&pm->runs[mid]) > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

void pagemap_extent(const struct pagemap *pm, uint64_t addr, uint64_t end, struct page_extent *ext)
{
	size_t i = pagemap_find(pm, addr);
	const struct page_run *r = &pm->runs[i];

	*ext = (struct page_extent){ .where = PAGES_HOLE, .start = addr, .fd = -1 };
	if (i == pm->nr || r->start >= end) {
		ext->nr_pages = (end - addr) / PAGE_SIZE;
		return;
	}
	if (r->start > addr) {
		ext->nr_pages = (r->start - addr) / PAGE_SIZE;
		return;
	}
	end = min(end, run_end(r));
	ext->nr_pages = (end - addr) / PAGE_SIZE;
	if (r->flags & PE_PRESENT) {
		ext->where = PAGES_FILE;
		ext->fd = pm->pages_fd;
		ext->off = r->off_pages * PAGE_SIZE + (addr - r->start);
	} else if ((r->flags & PE_PARENT) && !pm->parent) {
		ext->where = PAGES_REMOTE;
		ext->parent = true;
	} else if (r->flags & PE_PARENT) {
		pagemap_extent(pm->parent, addr, end, ext);
		ext->parent = true;
	} else if (r->flags & PE_LAZY) {
		ext->where = PAGES_REMOTE;
	}
	ext->lazy = r->flags & PE_LAZY;
}
