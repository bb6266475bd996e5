// SPDX-License-Identifier: GPL-2.0-only
/*
 * hugetlb memory. The kernel takes such a page as a whole or not at all (UFFDIO_COPY), while pages come in small pieces: those of a huge page are gathered in a
 * *slot* until it is complete. A slot costs 2 MiB, so there are few, and nothing comes that has none: of hugetlb memory only what has a slot is
 * wanted from the server, one huge page after the other, and faults for which there is none wait for their turn.
 *
 * With a server of ours the small pages are pushed like all others; a fault also asks for the first of them, which moves the server to that place. A plain server, and one that
 * does not push yet, is asked for all pieces. What is in images here is read at once.
 *
 * In a space the small pages of a huge page are all DONE, or none is: what a task does to hugetlb memory (munmap, madvise, mremap) it does to whole huge pages.
 * That they are ASKED means nothing: what is under way is known by the slot. A worker that dies takes its slots along, and the next one asks anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lazy/lazyd.h"
#include "lazy/uffd.h"
#include "mem/pagemap.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define NR_SLOTS      3
#define NR_BACKGROUND 2 /* of these, for what nobody waits for */

struct slot {
	struct object *obj; /* NULL: free */
	uint64_t src;
	bool urgent;	  /* a task waits */
	uint64_t at_ns;	  /* when the first began to wait */
	unsigned nr_left; /* small pages that have not come */
	uint64_t have[HUGE_PAGES / 64];
	char *buf;
};

struct wait {
	struct object *obj;
	uint64_t src, at_ns;
};

struct hugetlb {
	struct slot slots[NR_SLOTS];
	struct wait *waits;
	size_t nr_waits, cap_waits;
	struct object *cursor; /* where the background goes on */
	uint64_t cursor_src;
	bool done; /* nothing is left for it. What is forked later lacks nothing that its parent does not */
};

bool hugetlb_lacks(struct space *sp, uint64_t src)
{
	uint64_t page, nr;

	if (sp->uffd < 0)
		return false;
	for (uint64_t at = src; object_next_pages(sp->obj, &at, src + HUGE_SIZE, &page, &nr);
	     at += nr * PAGE_SIZE)
		if (space_next_left(sp, page, page + nr, false) < page + nr)
			return true;
	return false;
}

static bool somebody_lacks(struct object *obj, uint64_t src)
{
	struct space *sp;

	TAILQ_FOREACH (sp, &obj->spaces, link)
		if (hugetlb_lacks(sp, src))
			return true;
	return false;
}

/* ---- slots ---- */

static struct hugetlb *state(struct lazyd *d)
{
	if (!d->hugetlb)
		d->hugetlb = xzalloc(sizeof(*d->hugetlb));
	return d->hugetlb;
}

static struct slot *find_slot(struct hugetlb *h, const struct object *obj, uint64_t src)
{
	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (h->slots[i].obj == obj && h->slots[i].src == src)
			return &h->slots[i];
	return NULL;
}

static unsigned nr_busy(const struct hugetlb *h)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < NR_SLOTS; i++)
		nr += h->slots[i].obj != NULL;
	return nr;
}

/* Has page I of it come? */
static bool has(const struct slot *s, unsigned i)
{
	return s->have[i / 64] >> i % 64 & 1;
}

static void came(struct slot *s, unsigned first, unsigned nr)
{
	for (unsigned i = first; i < first + nr; i++) {
		s->nr_left -= !has(s, i);
		s->have[i / 64] |= 1ULL << i % 64;
	}
}

static void put(struct slot *s, unsigned first, unsigned nr, const char *data)
{
	if (data)
		memcpy(s->buf + first * PAGE_SIZE, data, nr * PAGE_SIZE);
	else
		memset(s->buf + first * PAGE_SIZE, 0, nr * PAGE_SIZE);
	came(s, first, nr);
}

/* All of it has come. -1 logged */
static int complete(struct lazyd *d, struct slot *s)
{
	struct object *obj = s->obj;

	if (place_huge(d, obj, s->src, s->buf, s->urgent ? BY_FAULT : BY_PUSH))
		return -1;
	if (s->urgent)
		stats_latency(&d->st, now_ns() - s->at_ns);
	s->obj = NULL;
	return 0;
}

/* What has not come of it: pushed from now on. */
static int want(struct lazyd *d, struct slot *s)
{
	uint64_t page, nr, left;

	for (uint64_t at = s->src; object_next_pages(s->obj, &at, s->src + HUGE_SIZE, &page, &nr);
	     at += nr * PAGE_SIZE) {
		bool here = object_here(s->obj, page, &left);

		nr = min(nr, left);
		if (!here && remote_want(d, s->obj, at, nr))
			return -1;
	}
	return 0;
}

/* Asks for its pieces one by one; MOST: so many pages. */
static int ask(struct lazyd *d, struct slot *s, unsigned most)
{
	unsigned nr;

	for (unsigned i = 0; i < HUGE_PAGES && most; i += nr) {
		uint64_t page, left = 0;

		nr = 1;
		if (has(s, i))
			continue;
		page = object_page(s->obj, s->src + i * PAGE_SIZE, &left);
		while (nr < min(left, (uint64_t)MAX_WIDEN) && i + nr < HUGE_PAGES &&
		       !has(s, i + nr) && !object_here(s->obj, page + nr, &(uint64_t){ 0 }))
			nr++;
		nr = min(nr, most);
		if (remote_fetch(d, s->obj, s->src + i * PAGE_SIZE, nr))
			return -1;
		most -= nr;
	}
	return remote_flush(d);
}

/* What comes from elsewhere is sent for. */
static int send_for(struct lazyd *d, struct slot *s)
{
	if (!remote_pushes(d))
		return ask(d, s, HUGE_PAGES);
	return want(d, s) || (s->urgent && ask(d, s, MAX_WIDEN)) ? -1 : 0;
}

/* What needs no server: pages of images here, and what was not saved, which is zeros. */
static int take_here(struct lazyd *d, struct slot *s)
{
	uint64_t end = s->src + HUGE_SIZE, page, nr, left;

	for (uint64_t at = s->src, next = at; at < end; at = next += nr * PAGE_SIZE) {
		unsigned first;

		if (!object_next_pages(s->obj, &next, end, &page, &nr))
			nr = 0;
		put(s, (at - s->src) / PAGE_SIZE, (next - at) / PAGE_SIZE, NULL);
		if (nr && d->remote) {
			bool here = object_here(s->obj, page, &left);

			nr = min(nr, left);
			if (!here)
				continue;
		}
		first = (next - s->src) / PAGE_SIZE;
		if (nr && local_fetch(d, s->obj, next, nr, s->buf + first * PAGE_SIZE))
			return -1;
		came(s, first, nr);
	}
	return 0;
}

/* Puts the huge page at SRC into slot S, which is free. AT_NS: since when a task waits for it, 0: none does. -1 logged */
static int begin(struct lazyd *d, struct slot *s, struct object *obj, uint64_t src, uint64_t at_ns)
{
	char *buf = s->buf ?: aligned_alloc(PAGE_SIZE, HUGE_SIZE);

	if (!buf) {
		pr_err("Out of memory for a huge page");
		return -1;
	}
	*s = (struct slot){ .obj = obj,
			    .src = src,
			    .urgent = at_ns != 0,
			    .at_ns = at_ns,
			    .nr_left = HUGE_PAGES,
			    .buf = buf };
	if (take_here(d, s))
		return -1;
	return s->nr_left ? send_for(d, s) : complete(d, s);
}

int hugetlb_arrived(struct lazyd *d, struct object *obj, uint64_t src, const char *data,
		    uint64_t nr_pages)
{
	for (uint64_t nr; nr_pages; nr_pages -= nr, src += nr * PAGE_SIZE) {
		uint64_t start = round_down(src, HUGE_SIZE);
		unsigned first = (src - start) / PAGE_SIZE;
		struct slot *s = d->hugetlb ? find_slot(d->hugetlb, obj, start) : NULL;

		nr = min(nr_pages, HUGE_PAGES - first);
		if (s) {
			put(s, first, nr, data);
			if (!s->nr_left && complete(d, s))
				return -1;
		} else {
			d->st.twice += nr; /* nobody wants it any more */
		}
		if (data)
			data += nr * PAGE_SIZE;
	}
	return 0;
}

/* ---- faults ---- */

static struct slot *free_slot(struct hugetlb *h)
{
	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (!h->slots[i].obj)
			return &h->slots[i];
	return NULL;
}

static int wait_for_turn(struct hugetlb *h, struct object *obj, uint64_t src, uint64_t at_ns)
{
	for (size_t i = 0; i < h->nr_waits; i++)
		if (h->waits[i].obj == obj && h->waits[i].src == src)
			return 0;
	if (xgrow(&h->waits, &h->cap_waits, h->nr_waits, sizeof(*h->waits)))
		return -1;
	h->waits[h->nr_waits++] = (struct wait){ obj, src, at_ns };
	return 0;
}

int hugetlb_fault(struct lazyd *d, struct space *sp, uint64_t src, uint64_t at_ns)
{
	struct hugetlb *h = state(d);
	struct slot *s;

	if (!h)
		return -1;
	src = round_down(src, HUGE_SIZE);
	h->cursor = sp->obj;
	h->cursor_src = src + HUGE_SIZE;
	s = find_slot(h, sp->obj, src);
	if (!s) {
		s = h->nr_waits ? NULL : free_slot(h);
		return s ? begin(d, s, sp->obj, src, at_ns) : wait_for_turn(h, sp->obj, src, at_ns);
	}
	d->st.known_faults++;
	if (s->urgent)
		return 0;
	s->urgent = true;
	s->at_ns = at_ns;
	return remote_pushes(d) ? ask(d, s, MAX_WIDEN) : 0;
}

/* ---- the background ---- */

/* The first huge page of OBJ at or after SRC that somebody lacks and that has no slot. */
static bool next_in(struct hugetlb *h, struct object *obj, uint64_t *src)
{
	for (size_t i = 0; i < obj->hugetlb.nr; i++) {
		const struct huge_range *r = &obj->hugetlb.v[i];

		for (uint64_t at = max(*src, r->start); at < r->start + r->len; at += HUGE_SIZE)
			if (!find_slot(h, obj, at) && somebody_lacks(obj, at)) {
				*src = at;
				return true;
			}
	}
	return false;
}

static bool next_huge(struct lazyd *d, struct object **obj, uint64_t *src)
{
	struct hugetlb *h = d->hugetlb;
	struct object *start = h->cursor ?: TAILQ_FIRST(&d->objects), *o = start;

	*src = h->cursor_src;
	while (o && !next_in(h, o, src)) {
		o = TAILQ_NEXT(o, link) ?: TAILQ_FIRST(&d->objects);
		*src = 0;
		if (o == start && !next_in(h, o, src)) {
			h->done = true;
			return false;
		}
	}
	*obj = h->cursor = o;
	h->cursor_src = *src + HUGE_SIZE;
	return o;
}

/* What has been thrown away is not waited for. */
static void drop_unwanted(struct hugetlb *h)
{
	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (h->slots[i].obj && !somebody_lacks(h->slots[i].obj, h->slots[i].src))
			h->slots[i].obj = NULL;
}

static int serve_waits(struct lazyd *d)
{
	struct hugetlb *h = d->hugetlb;
	size_t used = 0;
	int ret = 0;

	for (struct slot *s; !ret && used < h->nr_waits && (s = free_slot(h)); used++) {
		const struct wait *w = &h->waits[used];

		if (somebody_lacks(w->obj, w->src) && !find_slot(h, w->obj, w->src))
			ret = begin(d, s, w->obj, w->src, w->at_ns);
	}
	h->nr_waits -= used;
	memmove(h->waits, h->waits + used, h->nr_waits * sizeof(*h->waits));
	return ret;
}

int hugetlb_turn(struct lazyd *d)
{
	struct hugetlb *h = d->has_hugetlb ? state(d) : NULL;
	struct object *obj;
	uint64_t src;

	if (!h)
		return d->has_hugetlb ? -1 : 0;
	if (d->changed)
		drop_unwanted(h);
	d->changed = false;
	if (serve_waits(d))
		return -1;
	if (!d->finished || h->done || nr_busy(h) >= NR_BACKGROUND ||
	    (d->remote && !remote_takes_more(d)) || !next_huge(d, &obj, &src))
		return 0;
	return begin(d, free_slot(h), obj, src, 0) ? -1 : 1;
}

int hugetlb_pushed(struct lazyd *d)
{
	for (unsigned i = 0; d->hugetlb && i < NR_SLOTS; i++)
		if (d->hugetlb->slots[i].obj && want(d, &d->hugetlb->slots[i]))
			return -1;
	return 0;
}
