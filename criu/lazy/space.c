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

uint64_t lazy_run_start(const struct lazy_run *r)
{
	return r->start_page * PAGE_SIZE;
}

uint64_t lazy_run_pages(const struct lazy_run *r)
{
	return r[1].first - r->first;
}

static uint64_t lazy_run_end(const struct lazy_run *r)
{
	return lazy_run_start(r) + lazy_run_pages(r) * PAGE_SIZE;
}

static int take_runs(struct object *obj)
{
	const struct pagemap *pm = obj->pm;
	size_t nr = 0;

	for (size_t i = 0; i < pm->nr; i++)
		nr += run_is_lazy(&pm->runs[i]);
	obj->runs = xcalloc(nr + 1, sizeof(*obj->runs));
	if (!obj->runs)
		return -1;
	for (size_t i = 0; i < pm->nr; i++) {
		const struct page_run *r = &pm->runs[i];

		if (!run_is_lazy(r))
			continue;
		obj->runs[obj->nr_runs++] = (struct lazy_run){ .start_page = r->start / PAGE_SIZE,
							       .first = obj->nr_pages,
							       .here = !!(r->flags & PE_PARENT) };
		obj->nr_pages += r->nr_pages;
	}
	obj->runs[nr].first = obj->nr_pages;
	return 0;
}

struct object *object_new(uint64_t id, struct pagemap *pm)
{
	struct object *obj = xzalloc(sizeof(*obj));

	if (!obj) {
		pagemap_close(pm);
		return NULL;
	}
	obj->id = id;
	obj->dst_id = ps_id(PS_TYPE_TASK, id);
	obj->pm = pm;
	TAILQ_INIT(&obj->spaces);
	if (take_runs(obj)) {
		object_free(obj);
		return NULL;
	}
	pagemap_keep(
		pm,
		PE_LAZY | PE_PRESENT); /* with very many runs they are the most of what we need */
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
	const struct lazy_run *r;
	uint64_t skip;

	while (lo < hi) { /* the first run that ends after SRC */
		size_t mid = lo + (hi - lo) / 2;

		if (lazy_run_end(&obj->runs[mid]) > src)
			hi = mid;
		else
			lo = mid + 1;
	}
	if (lo == obj->nr_runs) {
		*left = UINT64_MAX / PAGE_SIZE;
		return -1;
	}
	r = &obj->runs[lo];
	if (lazy_run_start(r) > src) {
		*left = (lazy_run_start(r) - src) / PAGE_SIZE;
		return -1;
	}
	skip = (src - lazy_run_start(r)) / PAGE_SIZE;
	*left = lazy_run_pages(r) - skip;
	return r->first + skip;
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

	*left = r[1].first - page;
	return lazy_run_start(r) + (page - r->first) * PAGE_SIZE;
}

bool object_here(const struct object *obj, uint64_t page, uint64_t *left)
{
	const struct lazy_run *r = run_of(obj, page);

	*left = r[1].first - page;
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
	r->epoch = 0;
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
	if (!add_region(sp, at, end, r->src + (at - r->start))) {
		region_at(sp, at)->epoch = r->epoch;
		return 0;
	}
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

int space_discard(struct space *sp, uint64_t start, uint64_t len, gone_fn gone, void *arg)
{
	struct region *r;

	for (r = region_at(sp, start); r && r->start < start + len;
	     r = RB_NEXT(addr_tree, &sp->addrs, r)) {
		uint64_t from = max(r->start, start), to = min(r->end, start + len);

		forget(sp, r->src + (from - r->start), r->src + (to - r->start), gone, arg);
	}
	return 0;
}

static bool lacks(struct space *sp, uint64_t src, uint64_t end)
{
	uint64_t left;

	for (; src < end; src += left * PAGE_SIZE) {
		int64_t page = object_page(sp->obj, src, &left);

		left = min(left, (end - src) / PAGE_SIZE);
		if (page >= 0 && space_next_left(sp, page, page + left, false) < page + left)
			return true;
	}
	return false;
}

bool space_lacks(struct space *sp, uint64_t start, uint64_t len)
{
	struct region *r;

	for (r = region_at(sp, start); r && r->start < start + len;
	     r = RB_NEXT(addr_tree, &sp->addrs, r)) {
		uint64_t from = max(r->start, start), to = min(r->end, start + len);

		if (lacks(sp, r->src + (from - r->start), r->src + (to - r->start)))
			return true;
	}
	return false;
}

/* ---- what was displaced ---- */

static int split_displaced(struct space *sp, uint64_t at)
{
	struct region *r, *rest;

	TAILQ_FOREACH (r, &sp->displaced, link) {
		if (r->start >= at || r->end <= at)
			continue;
		rest = xmalloc(sizeof(*rest));
		if (!rest)
			return -1;
		rest->start = at;
		rest->end = r->end;
		rest->src = r->src + (at - r->start);
		rest->epoch = r->epoch;
		r->end = at;
		TAILQ_INSERT_AFTER(&sp->displaced, r, rest, link);
	}
	return 0;
}

static bool overlaps(const struct region_list *list, const struct region *r)
{
	const struct region *c;

	TAILQ_FOREACH (c, list, link)
		if (c->start < r->end && r->start < c->end)
			return true;
	return false;
}

/*
 * Takes what was displaced from [START, START + LEN) to LIST: a message about this range is about that. Of two that were displaced from one place the
 * first, which has had more time to be told of.
 */
static int take_displaced(struct space *sp, uint64_t start, uint64_t len, struct region_list *list)
{
	struct region *r, *next;

	if (split_displaced(sp, start) || split_displaced(sp, start + len))
		return -1;
	for (r = TAILQ_FIRST(&sp->displaced); r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->start < start || r->end > start + len || overlaps(list, r))
			continue;
		TAILQ_REMOVE(&sp->displaced, r, link);
		TAILQ_INSERT_TAIL(list, r, link);
	}
	return 0;
}

/* Is a message about this range, in which OLD were displaced, not about R, which is there now? */
static bool stays(const struct space *sp, const struct region_list *old, const struct region *r)
{
	return !TAILQ_EMPTY(old) && r->epoch == sp->epoch;
}

static void free_list(struct region_list *list)
{
	struct region *r;

	while ((r = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, r, link);
		free(r);
	}
}

static void forget_list(struct space *sp, struct region_list *list, gone_fn gone, void *arg)
{
	struct region *r;

	TAILQ_FOREACH (r, list, link)
		forget(sp, r->src, r->src + (r->end - r->start), gone, arg);
	free_list(list);
}

/* It had lazy pages when it was restored, so the kernel tells of it. The rest of a fresh space is there only to be simple. */
static bool is_an_area(struct space *sp, const struct region *r)
{
	uint64_t left, len = r->end - r->start;

	return object_page(sp->obj, r->src, &left) >= 0 || left < len / PAGE_SIZE;
}

/* Something is moved to [START, START + LEN). */
static int displace(struct space *sp, uint64_t start, uint64_t len)
{
	struct region *r, *next;

	if (split(sp, start) || split(sp, start + len))
		return -1;
	for (r = region_at(sp, start); r && r->start < start + len; r = next) {
		next = RB_NEXT(addr_tree, &sp->addrs, r);
		RB_REMOVE(addr_tree, &sp->addrs, r);
		RB_REMOVE(src_tree, &sp->srcs, r);
		if (is_an_area(sp, r))
			TAILQ_INSERT_TAIL(&sp->displaced, r, link);
		else
			free(r);
	}
	return 0;
}

static void vacated(struct space *sp, uint64_t start, uint64_t len)
{
	if (sp->nr_vacated == NR_VACATED) {
		memmove(sp->vacated, sp->vacated + 1, sizeof(sp->vacated) - sizeof(*sp->vacated));
		sp->nr_vacated--;
	}
	sp->vacated[sp->nr_vacated].start = start;
	sp->vacated[sp->nr_vacated++].len = len;
}

/* The second message of a move: everything was said with the first. */
static bool was_vacated(struct space *sp, uint64_t start, uint64_t len)
{
	for (unsigned i = 0; i < sp->nr_vacated; i++) {
		if (sp->vacated[i].start != start || sp->vacated[i].len != len)
			continue;
		sp->vacated[i] = sp->vacated[--sp->nr_vacated];
		return true;
	}
	return false;
}

int space_unmapped(struct space *sp, uint64_t start, uint64_t len, gone_fn gone, void *arg)
{
	struct region_list out = TAILQ_HEAD_INITIALIZER(out);
	struct region *r, *next;
	int ret = 0;

	if (was_vacated(sp, start, len))
		return 0;
	if (split(sp, start) || split(sp, start + len) || take_displaced(sp, start, len, &out))
		ret = -1;
	for (r = region_at(sp, start); !ret && r && r->start < start + len; r = next) {
		next = RB_NEXT(addr_tree, &sp->addrs, r);
		if (stays(sp, &out, r))
			continue;
		forget(sp, r->src, r->src + (r->end - r->start), gone, arg);
		drop_region(sp, r);
	}
	forget_list(sp, &out, gone, arg);
	return ret;
}

int space_move(struct space *sp, uint64_t from, uint64_t to, uint64_t len)
{
	struct region_list moved = TAILQ_HEAD_INITIALIZER(moved),
			   rest = TAILQ_HEAD_INITIALIZER(rest);
	struct region *r, *next;

	if (split(sp, from) || split(sp, from + len) || take_displaced(sp, from, len, &moved))
		goto fail;
	for (r = region_at(sp, from); r && r->start < from + len; r = next) {
		next = RB_NEXT(addr_tree, &sp->addrs, r);
		if (stays(sp, &moved, r))
			continue;
		RB_REMOVE(addr_tree, &sp->addrs, r);
		RB_REMOVE(src_tree, &sp->srcs, r);
		TAILQ_INSERT_TAIL(&rest, r, link);
	}
	TAILQ_CONCAT(&moved, &rest, link);
	if (displace(sp, to, len))
		goto fail;
	while ((r = TAILQ_FIRST(&moved))) {
		TAILQ_REMOVE(&moved, r, link);
		r->end = r->end - from + to;
		r->start = r->start - from + to;
		r->epoch = sp->epoch;
		RB_INSERT(addr_tree, &sp->addrs, r);
		RB_INSERT(src_tree, &sp->srcs, r);
	}
	vacated(sp, from, len);
	return 0;
fail:
	free_list(&moved);
	return -1;
}

void space_quiet(struct space *sp, gone_fn gone, void *arg)
{
	forget_list(sp, &sp->displaced, gone, arg);
	sp->nr_vacated = 0;
	sp->epoch++;
}

bool space_unsettled(const struct space *sp)
{
	return sp->forked_from || sp->nr_vacated || !TAILQ_EMPTY(&sp->displaced);
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
	TAILQ_INIT(&sp->displaced);
	sp->epoch = 1;
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

	free_list(&sp->displaced);
	while ((r = RB_ROOT(&sp->addrs)))
		drop_region(sp, r);
}

static int copy_regions(struct space *sp, struct space *from)
{
	struct region *r, *copy;

	sp->epoch = from->epoch;
	RB_FOREACH (r, addr_tree, &from->addrs) {
		if (add_region(sp, r->start, r->end, r->src))
			return -1;
		region_at(sp, r->start)->epoch = r->epoch;
	}
	TAILQ_FOREACH (r, &from->displaced, link) {
		copy = xmalloc(sizeof(*copy));
		if (!copy)
			return -1;
		*copy = *r;
		TAILQ_INSERT_TAIL(&sp->displaced, copy, link);
	}
	return 0;
}

struct space *space_fork(struct space *parent, int uffd)
{
	struct space *sp = alloc_space(parent->obj, parent->pid, uffd);

	if (!sp)
		return NULL;
	memcpy(sp->state, parent->state, state_words(parent->obj) * sizeof(*sp->state));
	sp->nr_left = parent->nr_left;
	sp->child = true;
	sp->forked_from = parent;
	if (copy_regions(sp, parent)) {
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
	struct space *other;

	TAILQ_REMOVE(&sp->obj->spaces, sp, link);
	TAILQ_FOREACH (other, &sp->obj->spaces, link)
		if (other->forked_from == sp)
			other->forked_from = NULL;
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
