// SPDX-License-Identifier: GPL-2.0-only
/* Where the pages of a space are now: its regions, what happens to them, and what was displaced on the way (space.h). */
#include "lazy/space.h"

#include <stdlib.h>

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

/*
 * Is R, of which only the beginning lies in a message's range from START on, there because it was moved to where the message's own area has ended, or been moved away?
 * A range may be longer than what is known to be in it: where an area has grown nobody tells. No single move or unmapping takes in the half of
 * another area that has just come.
 */
static bool is_behind(const struct space *sp, const struct region *r, uint64_t start, uint64_t end)
{
	return r->epoch == sp->epoch && r->start > start && r->start < end && r->end > end;
}

/* FROM: where the range begins at whose end this is to be done; 0: it is the beginning. */
static int split_displaced(struct space *sp, uint64_t from, uint64_t at)
{
	struct region *r, *rest;

	TAILQ_FOREACH (r, &sp->displaced, link) {
		if (r->start >= at || r->end <= at || (from && is_behind(sp, r, from, at)))
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

	if (split_displaced(sp, 0, start) || split_displaced(sp, start, start + len))
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

/* Makes borders at both ends of a message's range. *LEN: what of it the message is about. */
static int split_range(struct space *sp, uint64_t start, uint64_t *len)
{
	struct region *last = region_at(sp, start + *len);

	if (last && is_behind(sp, last, start, start + *len))
		*len = last->start - start;
	return split(sp, start) || split(sp, start + *len) ? -1 : 0;
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
	if (take_displaced(sp, start, len, &out) || split_range(sp, start, &len))
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
	uint64_t own = len;
	struct region *r, *next;

	if (take_displaced(sp, from, len, &moved) || split_range(sp, from, &own))
		goto fail;
	for (r = region_at(sp, from); r && r->start < from + own; r = next) {
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

bool space_displaced(const struct space *sp, uint64_t src, uint64_t end)
{
	const struct region *r;

	TAILQ_FOREACH (r, &sp->displaced, link)
		if (r->src < end && src < r->src + (r->end - r->start))
			return true;
	return false;
}

bool space_unsettled(const struct space *sp)
{
	return sp->forked_from || sp->nr_vacated || !TAILQ_EMPTY(&sp->displaced);
}

/* ---- of a whole space ---- */

void regions_init(struct space *sp)
{
	RB_INIT(&sp->addrs);
	RB_INIT(&sp->srcs);
	TAILQ_INIT(&sp->displaced);
	sp->epoch = 1;
}

int regions_begin(struct space *sp)
{
	return add_region(sp, 0, WHOLE_SPACE, 0);
}

void regions_free(struct space *sp)
{
	struct region *r;

	free_list(&sp->displaced);
	while ((r = RB_ROOT(&sp->addrs)))
		drop_region(sp, r);
}

int regions_copy(struct space *sp, struct space *from)
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
