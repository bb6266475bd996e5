// SPDX-License-Identifier: GPL-2.0-only
/*
 * An area without any page has no reverse map (anon_vma). If the task splits it with mprotect(2) while its pages come, the parts may get reverse maps of their own;
 * then they never become one area again, and mremap(2) of both fails. At the source there was one, from the area's first page on. So here a page is touched, and
 * dropped again. (fill.c sees to it that it is not a huge one.) Kernels before 5.14 cannot do it (EINVAL), and go without.
 *
 * Ways that cost as much or less, and did not do: with UFFDIO_COPY from a page that cannot be read, when the areas are registered, areas stayed split in every fourth run of
 * test/zdtm/transition/lazy_split all the same; a guard (MADV_GUARD_INSTALL) shows in the area's flags for ever.
 */
#include "util/xmalloc.h"

#include "mem/reverse.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mem/vdso_map.h"
#include "remote/arena.h"
#include "remote/puppet.h"
#include "util/log.h"

/* Neighbours with nothing between them are dropped in one call. */
struct touched {
	struct op *op;
	struct puppet *p;
	uint64_t start, end; /* not dropped yet; END 0: none */
	int drops[256];	     /* calls of the program */
	unsigned nr_drops;
};

static int run(struct touched *to)
{
	int ret = prog_run(to->p);

	for (unsigned i = 0; i < to->nr_drops && !ret; i++) {
		long err = prog_ret(to->p, to->drops[i]);

		/* ENOMEM: there are holes between the areas; they have been dropped all the same */
		if (!err || err == -ENOMEM)
			continue;
		errno = -err;
		pr_perror("Can't drop pages of task %d", to->p->image_tid);
		ret = -1;
	}
	to->nr_drops = 0;
	prog_reset(to->p);
	return ret;
}

static void drop(struct touched *to)
{
	if (to->end)
		to->drops[to->nr_drops++] = prog_add(to->p, 0, __NR_madvise, to->start,
						     to->end - to->start, MADV_DONTNEED);
	to->end = 0;
}

/* Is there something of criu's: the arena, this kernel's vDSO? */
static bool is_ours(const struct op *op, uint64_t start, uint64_t end)
{
	return start < op->vdso_hole + vdso_room() && end > op->arena->base;
}

static int touch(struct touched *to, const struct vma *v)
{
	if (to->end && is_ours(to->op, to->end, v->e.start))
		drop(to);
	if (!prog_room(to->p, 4, 0) || to->nr_drops + 1 == ARRAY_SIZE(to->drops)) {
		drop(to);
		if (run(to))
			return -1;
	}
	if (!to->end)
		to->start = v->e.start;
	to->end = v->e.end;
	prog_add(to->p, 0, __NR_madvise, v->e.start, PAGE_SIZE, MADV_POPULATE_WRITE);
	return 0;
}

int make_reverse_maps(struct op *op, struct task *t)
{
	struct touched to = { .op = op, .p = leader(t)->puppet };

	prog_reset(to.p);
	for (size_t i = 0; i < t->nr_vmas; i++) {
		if (!t->vmas[i].bare)
			drop(&to);
		else if (touch(&to, &t->vmas[i]))
			return -1;
	}
	drop(&to);
	return to.nr_drops ? run(&to) : 0;
}
