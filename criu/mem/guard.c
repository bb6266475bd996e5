// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/guard.h"

#include <errno.h>
#include <fcntl.h>

#include "mem/mem.h"
#include "mem/scan.h"
#include "util/io.h"
#include "util/log.h"

/* One area, as far as it is cut up. */
struct cut {
	struct areas *to;
	const VmaEntry *of;
	uint64_t done;
};

static int add_piece(struct cut *c, uint64_t end, uint32_t status)
{
	struct areas *a = c->to;
	VmaEntry *e;

	if (c->done == end)
		return 0;
	if (xgrow(&a->v, &a->cap, a->nr, sizeof(*a->v)) || !(e = xmalloc(sizeof(*e))))
		return -1;
	a->v[a->nr++] = e;
	*e = *c->of;
	e->start = c->done;
	e->end = end;
	e->status |= status;
	if (!(e->status & VMA_ANON_PRIVATE))
		e->pgoff += c->done - c->of->start;
	c->done = end;
	return 0;
}

static int add_guard(const struct scan_region *r, void *arg)
{
	return add_piece(arg, r->start, 0) || add_piece(arg, r->end, VMA_GUARD) ? 1 : 0;
}

static bool may_have_guards(const struct vma *v)
{
	return !vma_special(v) && !hugetlb(v->e.flags);
}

int areas_split(struct task *t, struct areas *a)
{
	cleanup_close int pagemap = openat(t->proc, "pagemap", O_RDONLY | O_CLOEXEC);

	*a = (struct areas){ 0 };
	if (pagemap < 0) {
		pr_perror("Can't open /proc/%d/pagemap", t->pid);
		return -1;
	}
	for (size_t i = 0; i < t->nr_vmas; i++) {
		const struct vma *v = &t->vmas[i];
		struct cut c = { a, &v->e, v->e.start };

		if (may_have_guards(v) && scan_guards(pagemap, v->e.start, v->e.end, add_guard, &c))
			return -1;
		if (add_piece(&c, v->e.end, 0))
			return -1;
	}
	return 0;
}

void areas_free(struct areas *a)
{
	while (a->nr)
		free(a->v[--a->nr]);
	free(a->v);
}
