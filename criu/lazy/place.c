// SPDX-License-Identifier: GPL-2.0-only
/* Pages that have arrived go into every address space that still lacks them. */
#include <sched.h>

#include "lazy/lazyd.h"
#include "lazy/uffd.h"
#include "util/log.h"
#include "util/xmalloc.h"

static void mark_done(struct lazyd *d, struct space *sp, uint64_t page, uint64_t nr,
		      enum arrival why)
{
	uint64_t new = space_set(sp, page, nr, PAGE_DONE);

	d->nr_left -= new;
	stats_arrived(d, sp->obj, page, nr, new, why);
}

/*
 * The next stretch of source addresses in [*SRC, END) that SP lacks and that has a place. False: none is left. *SRC is
 * moved up to it.
 */
static bool next_stretch(struct space *sp, uint64_t *src, uint64_t end, uint64_t *page,
			 uint64_t *addr, uint64_t *nr)
{
	while (*src < end) {
		uint64_t len, left, next;
		int64_t p;

		if (!space_place(sp, src, end, addr, &len))
			return false;
		p = object_page(sp->obj, *src, &left);
		left = min(left, len / PAGE_SIZE);
		if (p < 0) {
			*src += left * PAGE_SIZE;
			continue;
		}
		next = space_next_left(sp, p, p + left, false);
		if (next > (uint64_t)p) { /* these are there already */
			*src += (next - p) * PAGE_SIZE;
			continue;
		}
		*page = p;
		*nr = space_stretch(sp, p, p + left, false);
		return true;
	}
	return false;
}

/* 0; -1 logged. SP may be gone afterwards (its uffd is -1). */
static int place_in_space(struct lazyd *d, struct space *sp, uint64_t first, const char *data,
			  uint64_t end, enum arrival why)
{
	uint64_t src = first, page, addr, nr, done;

	if (settle_space(d, sp, first, end))
		return -1;
	while (sp->uffd >= 0 && next_stretch(sp, &src, end, &page, &addr, &nr)) {
		enum uffd_result r = uffd_fill(sp->uffd, addr, data ? data + (src - first) : NULL,
					       nr, &done);

		mark_done(d, sp, page, done, why);
		src += done * PAGE_SIZE;
		if (r == UFFD_FAILED)
			return -1;
		if (r == UFFD_GONE) {
			space_ended(d, sp);
		} else if (r == UFFD_AGAIN) {
			/* a fork, remap or discard is on its way: it decides where the rest belongs */
			int ret = events_read(d, sp);

			if (ret < 0)
				return -1;
			if (!ret)
				sched_yield(); /* the task has yet to take note that it was read */
			/* what has been displaced meanwhile would be passed over, and comes only once */
			if (settle_space(d, sp, src, end))
				return -1;
		}
	}
	end_if_complete(d, sp);
	return 0;
}

static int place_small(struct lazyd *d, struct object *obj, uint64_t src, const char *data,
		       uint64_t nr_pages, enum arrival why)
{
	uint64_t before = stats_brought(&d->st), placed;
	struct space *sp;

	/* a child that is forked meanwhile comes after its parent in the list */
	TAILQ_FOREACH (sp, &obj->spaces, link)
		if (place_in_space(d, sp, src, data, src + nr_pages * PAGE_SIZE, why))
			return -1;
	placed = stats_brought(&d->st) - before;
	d->st.twice += nr_pages - min(nr_pages, placed);
	return 0;
}

int place_pages(struct lazyd *d, struct object *obj, uint64_t src, const void *data,
		uint64_t nr_pages, enum arrival why)
{
	if (!data)
		d->st.zero_pages += nr_pages;
	for (uint64_t nr, len; nr_pages; nr_pages -= nr, src += nr * PAGE_SIZE) {
		bool huge = object_hugetlb(obj, src, &len);

		nr = min(nr_pages, len / PAGE_SIZE);
		if (huge ? hugetlb_arrived(d, obj, src, data, nr)
			 : place_small(d, obj, src, data, nr, why))
			return -1;
		if (data)
			data += nr * PAGE_SIZE;
	}
	return 0;
}

/* ---- hugetlb ---- */

static void huge_done(struct lazyd *d, struct space *sp, uint64_t src, enum arrival why)
{
	uint64_t page, nr;

	for (uint64_t at = src; object_next_pages(sp->obj, &at, src + HUGE_SIZE, &page, &nr);
	     at += nr * PAGE_SIZE)
		mark_done(d, sp, page, nr, why);
}

static int place_huge_in_space(struct lazyd *d, struct space *sp, uint64_t src, const void *data,
			       enum arrival why)
{
	if (settle_space(d, sp, src, src + HUGE_SIZE))
		return -1;
	while (hugetlb_lacks(sp, src)) {
		uint64_t at = src, addr, len;
		enum uffd_result r = UFFD_OK;
		int some;

		/* what is cut and moved are whole huge pages */
		if (space_place(sp, &at, src + HUGE_SIZE, &addr, &len) && len == HUGE_SIZE)
			r = uffd_fill_huge(sp->uffd, addr, data, HUGE_SIZE);
		if (r == UFFD_FAILED)
			return -1;
		if (r == UFFD_OK)
			huge_done(d, sp, src, why);
		else if (r == UFFD_GONE)
			space_ended(d, sp);
		else if ((some = events_read(d, sp)) < 0)
			return -1;
		else if (!some)
			sched_yield();
		if (settle_space(d, sp, src, src + HUGE_SIZE))
			return -1;
	}
	end_if_complete(d, sp);
	return 0;
}

int place_huge(struct lazyd *d, struct object *obj, uint64_t src, const void *data,
	       enum arrival why)
{
	struct space *sp;

	TAILQ_FOREACH (sp, &obj->spaces, link)
		if (place_huge_in_space(d, sp, src, data, why))
			return -1;
	return 0;
}
