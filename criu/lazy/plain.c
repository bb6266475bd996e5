// SPDX-License-Identifier: GPL-2.0-only
/* What nobody waits for, from a page server of the plain protocol: it pushes nothing, so it is asked for piece after piece, a few always under way. */
#include "lazy/remote.h"
#include "util/xmalloc.h"

#define PLAIN_GET 32 /* pages of one GET */

/* A page that some space has neither got nor asked for, and that is not in parent images. */
static uint64_t next_unasked(struct object *obj, uint64_t page, uint64_t *nr)
{
	uint64_t left = 0;

	for (;; page += left) {
		page = object_next_left(obj, page, PLAIN_GET, true, nr);
		if (!*nr)
			return page;
		left = object_skip_hugetlb(obj, page, nr);
		if (!left && !object_here(obj, page, &left))
			return page;
	}
}

static bool background_next(struct lazyd *d, uint64_t *src, uint64_t *nr)
{
	struct remote *r = d->remote;
	struct object *start = r->cursor ?: TAILQ_FIRST(&d->objects);
	struct space *sp;
	uint64_t left;

	r->cursor = start;
	if (!start)
		return false;
	r->cursor_page = next_unasked(start, r->cursor_page, nr);
	while (!*nr) {
		r->cursor = TAILQ_NEXT(r->cursor, link) ?: TAILQ_FIRST(&d->objects);
		r->cursor_page = next_unasked(r->cursor, 0, nr);
		if (r->cursor == start)
			break;
	}
	if (!*nr)
		return false;
	*src = object_src(r->cursor, r->cursor_page, &left);
	*nr = min(*nr, left);
	TAILQ_FOREACH (sp, &r->cursor->spaces, link)
		space_set(sp, r->cursor_page, *nr, PAGE_ASKED);
	r->cursor_page += *nr;
	return true;
}

int plain_background(struct lazyd *d)
{
	struct remote *r = d->remote;
	uint64_t src, nr;

	while (r->background < PLAIN_MAX && background_next(d, &src, &nr)) {
		r->background += nr;
		if (remote_get(d, r->cursor, src, nr, 0, BY_PUSH))
			return -1;
	}
	return remote_flush(d);
}
