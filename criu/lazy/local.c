// SPDX-License-Identifier: GPL-2.0-only
/* Pages from images on this host: all of them, or beside a server those that did not change since a parent. */
#include "lazy/lazyd.h"
#include "mem/source.h"
#include "util/xmalloc.h"

int local_fetch(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr, char *buf)
{
	struct page_source source = { .dst_id = obj->dst_id, .pm = obj->pm, .mem = -1 };
	uint64_t left;

	if (object_here(obj, object_page(obj, src, &left), &left))
		source.pm = obj->pm->parent;
	if (source_read(&source, src, nr, buf))
		return -1;
	d->st.bytes += nr * PAGE_SIZE;
	return 0;
}

int local_fault(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages)
{
	uint64_t left, nr = min(nr_pages, (uint64_t)SLICE_PAGES);

	if (local_fetch(d, obj, src, nr, d->buf))
		return -1;
	d->cursor = obj;
	d->cursor_page = object_page(obj, src, &left) + nr;
	return place_pages(d, obj, src, d->buf, nr, BY_FAULT);
}

/*
 * The first page at or after PAGE that some space of OBJ lacks, *NR: how many of them follow each other. With a server: of those that are here, in parent
 * images.
 */
static uint64_t next_missing(struct lazyd *d, struct object *obj, uint64_t page, uint64_t *nr)
{
	uint64_t left = 0;

	for (;; page += left) {
		page = object_next_left(obj, page, SLICE_PAGES, false, nr);
		if (!*nr)
			return page;
		left = object_skip_hugetlb(obj, page, nr);
		if (!left && (!d->remote || object_here(obj, page, &left)))
			return page;
	}
}

/* Moves the cursor to the next slice to bring: *SRC, *NR. False: nothing is missing. */
static bool next_slice(struct lazyd *d, uint64_t *src, uint64_t *nr)
{
	struct object *start = d->cursor ?: TAILQ_FIRST(&d->objects);
	uint64_t left;

	d->cursor = start;
	if (!start)
		return false;
	d->cursor_page = next_missing(d, start, d->cursor_page, nr);
	while (!*nr) {
		d->cursor = TAILQ_NEXT(d->cursor, link) ?: TAILQ_FIRST(&d->objects);
		d->cursor_page = next_missing(d, d->cursor, 0, nr);
		if (d->cursor == start)
			break;
	}
	if (!*nr)
		return false;
	*src = object_src(d->cursor, d->cursor_page, &left);
	*nr = min(*nr, left);
	d->cursor_page += *nr;
	return true;
}

int local_background(struct lazyd *d)
{
	uint64_t nr = 0, src;

	/* what is in place stays so: a child that is forked meanwhile has it too */
	if (d->here_done || !next_slice(d, &src, &nr)) {
		d->here_done = true;
		return 0;
	}
	if (local_fetch(d, d->cursor, src, nr, d->buf))
		return -1;
	return place_pages(d, d->cursor, src, d->buf, nr, BY_PUSH) ? -1 : 1;
}
