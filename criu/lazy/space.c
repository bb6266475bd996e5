// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/space.h"

#include <stdlib.h>
#include <unistd.h>

#include "mem/pagemap.h"
#include "net/wire.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* The one region of a fresh space; above every address a task can have. */
#define WHOLE_SPACE (1ULL << 62)

static int cmp_addr(const struct region *a, const struct region *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

static int cmp_src(const struct region *a, const struct region *b)
{
	return a->src < b->src ? -1 : a->src > b->src;
}

/* (RB_GENERATE_STATIC of libbsd needs a macro __unused, which breaks other headers) */
#define TREE_FN static __attribute__((unused))
RB_PROTOTYPE_INTERNAL(addr_tree, region, by_addr, cmp_addr, TREE_FN)
RB_GENERATE_INTERNAL(addr_tree, region, by_addr, cmp_addr, TREE_FN)
RB_PROTOTYPE_INTERNAL(src_tree, region, by_src, cmp_src, TREE_FN)
RB_GENERATE_INTERNAL(src_tree, region, by_src, cmp_src, TREE_FN)

/* ---- objects ---- */

static bool run_is_lazy(const struct page_run *r)
{
	return r->flags & (PE_LAZY | PE_PARENT);
}

struct object *object_new(uint64_t id, struct pagemap *pm)
{
	struct object *obj = xzalloc(sizeof(*obj));
	size_t cap = 0;

	if (!obj) {
		pagemap_close(pm);
		return NULL;
	}
	obj->id = id;
	obj->dst_id = ps_id(PS_TYPE_TASK, id);
	obj->pm = pm;
	TAILQ_INIT(&obj->spaces);
	for (size_t i = 0; i < pm->nr; i++) {
		if (!run_is_lazy(&pm->runs[i]))
			continue;
		if (xgrow(&obj->runs, &cap, obj->nr_runs, sizeof(*obj->runs))) {
			object_free(obj);
			return NULL;
		}
		obj->runs[obj->nr_runs++] = (struct lazy_run){ .start = pm->runs[i].start,
							       .nr_pages = pm->runs[i].nr_pages,
							       .first = obj->nr_pages,
							       .here = pm->runs[i].flags &
								       PE_PARENT };
		obj->nr_pages += pm->runs[i].nr_pages;
	}
	return obj;
}

void object_free(struct object *obj)
{
	struct space *sp;

	if (!obj)
		return;
	while ((sp = TAILQ_FIRST(&obj->spaces)))
		space_free(sp);
	pagemap_close(obj->pm);
	huge_free(&obj->huge);
	huge_free(&obj->hugetlb);
	free(obj->runs);
	free(obj);
}

int64_t object_page(const struct object *obj, uint64_t src, uint64_t *left)
{
	size_t lo = 0, hi = obj->nr_runs;

	while (lo < hi) { /* the first run that ends after SRC */
		size_t mid = lo + (hi - lo) / 2;
		const struct lazy_run *r = &obj->runs[mid];

		if (r->start + r->nr_pages * PAGE_SIZE > src)
			hi = mid;
		else
			lo = mid + 1;
	}
	if (lo == obj->nr_runs) {
		*left = UINT64_MAX / PAGE_SIZE;
		return -1;
	}
	if (obj->runs[lo].start > src) {
		*left = (obj->runs[lo].start - src) / PAGE_SIZE;
		return -1;
	}
	*left = obj->runs[lo].nr_pages - (src - obj->runs[lo].start) / PAGE_SIZE;
	return obj->runs[lo].first + (src - obj->runs[lo].start) / PAGE_SIZE;
}

/* The run of page number PAGE: binary search over the runs' first pages. */
static const struct lazy_run *run_of(const struct object *obj, uint64_t page)
{
	size_t lo = 0, hi = obj->nr_runs;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (obj->runs[mid].first <= page)
			lo = mid;
		else
			hi = mid;
	}
	return &obj->runs[lo];
}

uint64_t object_src(const struct object *obj, uint64_t page, uint64_t *left)
{
	const struct lazy_run *r = run_of(obj, page);

	*left = r->first + r->nr_pages - page;
	return r->start + (page - r->first) * PAGE_SIZE;
}

bool object_here(const struct object *obj, uint64_t page, uint64_t *left)
{
	const struct lazy_run *r = run_of(obj, page);

	*left = r->first + r->nr_pages - page;
	return r->here;
}

bool object_hugetlb(const struct object *obj, uint64_t src, uint64_t *len)
{
	size_t lo = 0, hi = obj->hugetlb.nr;
	const struct huge_range *r;

	while (lo < hi) { /* the first range that ends after SRC */
		size_t mid = lo + (hi - lo) / 2;

		r = &obj->hugetlb.v[mid];
		if (r->start + r->len > src)
			hi = mid;
		else
			lo = mid + 1;
	}
	r = &obj->hugetlb.v[lo];
	if (lo == obj->hugetlb.nr) {
		*len = UINT64_MAX - src;
		return false;
	}
	*len = r->start > src ? r->start - src : r->start + r->len - src;
	return r->start <= src;
}

uint64_t object_skip_hugetlb(const struct object *obj, uint64_t page, uint64_t *nr)
{
	uint64_t left, len, src;

	if (!obj->hugetlb.nr)
		return 0;
	src = object_src(obj, page, &left);
	if (object_hugetlb(obj, src, &len))
		return min(left, len / PAGE_SIZE);
	*nr = min(min(*nr, left), len / PAGE_SIZE);
	return 0;
}

bool object_next_pages(const struct object *obj, uint64_t *src, uint64_t end, uint64_t *page,
		       uint64_t *nr)
{
	while (*src < end) {
		int64_t p = object_page(obj, *src, nr);

		*nr = min(*nr, (end - *src) / PAGE_SIZE);
		if (p >= 0) {
			*page = p;
			return true;
		}
		*src += *nr * PAGE_SIZE;
	}
	return false;
}

/* ---- regions ---- */

static int add_region(struct space *sp, uint64_t start, uint64_t end, uint64_t src)
{
	struct region *r = xmalloc(sizeof(*r));

	if (!r)
		return -1;
	r->start = start;
	r->end = end;
	r->src = src;
	RB_INSERT(addr_tree, &sp->addrs, r);
	RB_INSERT(src_tree, &sp->srcs, r);
	return 0;
}

static void drop_region(struct space *sp, struct region *r)
{
	RB_REMOVE(addr_tree, &sp->addrs, r);
	RB_REMOVE(src_tree, &sp->srcs, r);
	free(r);
}

/* The first region that ends after ADDR. Regions do not overlap, so the one before the next start is the only other candidate. */
static struct region *region_at(struct space *sp, uint64_t addr)
{
	struct region key = { .start = addr };
	struct region *r = RB_NFIND(addr_tree, &sp->addrs, &key);
	struct region *prev = r ? RB_PREV(addr_tree, &sp->addrs, r) : RB_MAX(addr_tree, &sp->addrs);

	return prev && prev->end > addr ? prev : r;
}

static struct region *region_of_src(struct space *sp, uint64_t src)
{
	struct region key = { .src = src };
	struct region *r = RB_NFIND(src_tree, &sp->srcs, &key);
	struct region *prev = r ? RB_PREV(src_tree, &sp->srcs, r) : RB_MAX(src_tree, &sp->srcs);

	return prev && prev->src + (prev->end - prev->start) > src ? prev : r;
}

bool space_source(struct space *sp, uint64_t addr, uint64_t *src, uint64_t *len)
{
	struct region *r = region_at(sp, addr);

	if (!r || r->start > addr)
		return false;
	*src = r->src + (addr - r->start);
	*len = r->end - addr;
	return true;
}

bool space_place(struct space *sp, uint64_t *src, uint64_t end, uint64_t *addr, uint64_t *len)
{
	struct region *r = region_of_src(sp, *src);

	if (!r || r->src >= end)
		return false;
	if (r->src > *src)
		*src = r->src;
	*addr = r->start + (*src - r->src);
	*len = min(r->end - *addr, end - *src);
	return true;
}

/* Makes AT a border between regions, so that what lies on either side can be changed alone. */
static int split(struct space *sp, uint64_t at)
{
	struct region *r = region_at(sp, at);
	uint64_t end;

	if (!r || r->start >= at)
		return 0;
	end = r->end;
	r->end = at; /* the trees are sorted by starts: shortening keeps them so */
	if (!add_region(sp, at, end, r->src + (at - r->start)))
		return 0;
	r->end = end;
	return -1;
}

static void forget(struct space *sp, uint64_t src, uint64_t end, gone_fn gone, void *arg)
{
	uint64_t left;

	for (; src < end; src += left * PAGE_SIZE) {
		int64_t page = object_page(sp->obj, src, &left);

		left = min(left, (end - src) / PAGE_SIZE);
		if (page < 0)
			continue;
		for (uint64_t p = page, stop = page + left; p < stop;) {
			uint64_t n;

			p = space_next_left(sp, p, stop, false);
			if (p == stop)
				break;
			n = space_stretch(sp, p, stop, false);
			space_set(sp, p, n, PAGE_DONE);
			if (gone)
				gone(sp, src + (p - page) * PAGE_SIZE, n, arg);
			p += n;
		}
	}
}

int space_cut(struct space *sp, uint64_t start, uint64_t len, gone_fn gone, void *arg)
{
	struct region *r, *next;

	if (split(sp, start) || split(sp, start + len))
		return -1;
	for (r = region_at(sp, start); r && r->start < start + len; r = next) {
		next = RB_NEXT(addr_tree, &sp->addrs, r);
		forget(sp, r->src, r->src + (r->end - r->start), gone, arg);
		drop_region(sp, r);
	}
	return 0;
}

int space_move(struct space *sp, uint64_t from, uint64_t to, uint64_t len)
{
	struct region *r, *next;
	SLIST_HEAD(, region_move) moved = SLIST_HEAD_INITIALIZER(moved);
	struct region_move {
		struct region *r;
		SLIST_ENTRY(region_move) link;
	} * m;
	int ret = 0;

	if (split(sp, from) || split(sp, from + len))
		return -1;
	for (r = region_at(sp, from); r && r->start < from + len; r = next) {
		next = RB_NEXT(addr_tree, &sp->addrs, r);
		m = xmalloc(sizeof(*m));
		if (!m) {
			ret = -1;
			break;
		}
		RB_REMOVE(addr_tree, &sp->addrs, r);
		m->r = r;
		SLIST_INSERT_HEAD(&moved, m, link);
	}
	/* whatever was at the new place is gone: mremap has unmapped it */
	if (space_cut(sp, to, len, NULL, NULL))
		ret = -1;
	while ((m = SLIST_FIRST(&moved))) {
		SLIST_REMOVE_HEAD(&moved, link);
		m->r->end = m->r->end - from + to;
		m->r->start = m->r->start - from + to;
		RB_INSERT(addr_tree, &sp->addrs, m->r);
		free(m);
	}
	return ret;
}

/* ---- spaces ---- */

static uint64_t state_words(const struct object *obj)
{
	return obj->nr_pages / 32 + 1;
}

static struct space *alloc_space(struct object *obj, pid_t pid, int uffd)
{
	struct space *sp = xzalloc(sizeof(*sp));

	if (!sp)
		return NULL;
	sp->state = xcalloc(state_words(obj), sizeof(*sp->state));
	if (!sp->state) {
		free(sp);
		return NULL;
	}
	sp->obj = obj;
	sp->pid = pid;
	sp->pidfd = -1;
	sp->uffd = uffd;
	RB_INIT(&sp->addrs);
	RB_INIT(&sp->srcs);
	return sp;
}

struct space *space_new(struct object *obj, pid_t pid, int uffd)
{
	struct space *sp = alloc_space(obj, pid, uffd);

	if (!sp)
		return NULL;
	if (add_region(sp, 0, WHOLE_SPACE, 0)) {
		free(sp->state);
		free(sp);
		return NULL;
	}
	sp->nr_left = obj->nr_pages;
	TAILQ_INSERT_TAIL(&obj->spaces, sp, link);
	return sp;
}

static void free_regions(struct space *sp)
{
	struct region *r;

	while ((r = RB_ROOT(&sp->addrs)))
		drop_region(sp, r);
}

struct space *space_fork(struct space *parent, int uffd)
{
	struct space *sp = alloc_space(parent->obj, parent->pid, uffd);
	struct region *r;

	if (!sp)
		return NULL;
	memcpy(sp->state, parent->state, state_words(parent->obj) * sizeof(*sp->state));
	sp->nr_left = parent->nr_left;
	sp->child = true;
	RB_FOREACH (r, addr_tree, &parent->addrs)
		if (add_region(sp, r->start, r->end, r->src)) {
			free_regions(sp);
			free(sp->state);
			free(sp);
			return NULL;
		}
	TAILQ_INSERT_AFTER(&parent->obj->spaces, parent, sp, link);
	return sp;
}

void space_free(struct space *sp)
{
	TAILQ_REMOVE(&sp->obj->spaces, sp, link);
	close_safe(&sp->uffd);
	free_regions(sp);
	free(sp->state);
	free(sp);
}

/* ---- page states ---- */

#define DONE_BITS    0xaaaaaaaaaaaaaaaaULL /* PAGE_DONE in every pair of bits */
#define MISSING_BITS 0x5555555555555555ULL

static unsigned shift_of(uint64_t page)
{
	return page % 32 * 2;
}

enum page_state space_state(const struct space *sp, uint64_t page)
{
	return sp->state[page / 32] >> shift_of(page) & 3;
}

uint64_t space_set(struct space *sp, uint64_t page, uint64_t nr, enum page_state state)
{
	uint64_t changed = 0;

	for (uint64_t p = page; p < page + nr; p++) {
		enum page_state old = space_state(sp, p);

		if (old == PAGE_DONE || old == state)
			continue;
		sp->state[p / 32] &= ~(3ULL << shift_of(p));
		sp->state[p / 32] |= (uint64_t)state << shift_of(p);
		changed++;
		if (state == PAGE_DONE)
			sp->nr_left--;
	}
	return changed;
}

/* One bit (the lower of each pair) per page of the word that fits. */
static uint64_t fitting(uint64_t word, bool missing_only)
{
	uint64_t left = ~(word & DONE_BITS) >> 1 & MISSING_BITS; /* not DONE */

	return missing_only ? left & ~word : left;
}

static uint64_t next_bit(const struct space *sp, uint64_t page, uint64_t end, bool missing_only,
			 bool want)
{
	while (page < end) {
		uint64_t bits = fitting(sp->state[page / 32], missing_only);

		if (!want)
			bits = ~bits & MISSING_BITS;
		bits = bits >> shift_of(page) << shift_of(page);
		if (bits) {
			page = round_down(page, 32) + __builtin_ctzll(bits) / 2;
			return min(page, end);
		}
		page = round_down(page, 32) + 32;
	}
	return end;
}

uint64_t space_next_left(const struct space *sp, uint64_t page, uint64_t end, bool missing_only)
{
	return next_bit(sp, page, end, missing_only, true);
}

uint64_t space_stretch(const struct space *sp, uint64_t page, uint64_t end, bool missing_only)
{
	return next_bit(sp, page, end, missing_only, false) - page;
}

uint64_t object_next_left(const struct object *obj, uint64_t page, uint64_t most, bool missing_only,
			  uint64_t *nr)
{
	uint64_t best = obj->nr_pages;
	struct space *sp, *lacks = NULL;

	TAILQ_FOREACH (sp, &obj->spaces, link) {
		uint64_t p = sp->uffd < 0 ? best : space_next_left(sp, page, best, missing_only);

		if (p < best) {
			best = p;
			lacks = sp;
		}
	}
	*nr = lacks ? space_stretch(lacks, best, min(best + most, obj->nr_pages), missing_only) : 0;
	return best;
}
