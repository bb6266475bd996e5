// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/space.h"

#include <stdlib.h>
#include <unistd.h>

#include "mem/pagemap.h"
#include "net/wire.h"
#include "util/log.h"
#include "util/xmalloc.h"

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
	regions_init(sp);
	return sp;
}

struct space *space_new(struct object *obj, pid_t pid, int uffd)
{
	struct space *sp = alloc_space(obj, pid, uffd);

	if (!sp)
		return NULL;
	if (regions_begin(sp)) {
		free(sp->state);
		free(sp);
		return NULL;
	}
	sp->nr_left = obj->nr_pages;
	TAILQ_INSERT_TAIL(&obj->spaces, sp, link);
	return sp;
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
	if (regions_copy(sp, parent)) {
		regions_free(sp);
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
	regions_free(sp);
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
