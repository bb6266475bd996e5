// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/eager.h"

#include "mem/mem.h"
#include "regs.h"

#define MAX_ARG_PAGES 32

static int cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int add(struct eager *e, size_t *cap, uint64_t start, uint64_t len)
{
	for (uint64_t at = round_down(start, PAGE_SIZE); at < start + len; at += PAGE_SIZE) {
		if (xgrow(&e->pages, cap, e->nr, sizeof(*e->pages)))
			return -1;
		e->pages[e->nr++] = at;
	}
	return 0;
}

/* A huge page is wanted as a whole. */
static int add_in(struct task *t, struct eager *e, size_t *cap, uint64_t start, uint64_t len)
{
	uint64_t end = start + len;

	for (size_t i = 0; i < t->nr_vmas; i++) {
		const struct vma *v = &t->vmas[i];

		if (!hugetlb(v->e.flags) || !vma_lazy(v) || v->e.end <= start || v->e.start >= end)
			continue;
		start = min(start, round_down(max(start, v->e.start), HUGE_SIZE));
		end = max(end, round_up(min(end, v->e.end), HUGE_SIZE));
	}
	return add(e, cap, start, end - start);
}

int eager_find(struct task *t, struct eager *e)
{
	size_t cap = 0, out = 0;
	uint64_t args = t->mm->mm_env_end - t->mm->mm_arg_start;

	*e = (struct eager){ 0 };
	if (t->mm->mm_env_end > t->mm->mm_arg_start &&
	    add_in(t, e, &cap, t->mm->mm_arg_start, min(args, MAX_ARG_PAGES * PAGE_SIZE)))
		return -1;
	for_each_thread (th, t) {
		RseqEntry *r = th->core->thread_core ? th->core->thread_core->rseq_entry : NULL;
		uint64_t sp = arch_core_sp(th->core), tls = arch_core_tls(th->core);

		if ((sp && add_in(t, e, &cap, sp, 1)) || (tls && add_in(t, e, &cap, tls, 1)) ||
		    (r && r->rseq_abi_pointer &&
		     add_in(t, e, &cap, r->rseq_abi_pointer, max(r->rseq_abi_size, 1u))))
			return -1;
	}
	qsort(e->pages, e->nr, sizeof(*e->pages), cmp);
	for (size_t i = 0; i < e->nr; i++)
		if (!out || e->pages[out - 1] != e->pages[i])
			e->pages[out++] = e->pages[i];
	e->nr = out;
	return 0;
}

uint64_t eager_piece(const struct eager *e, uint64_t start, uint64_t end, bool *is_eager)
{
	size_t lo = 0, hi = e->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (e->pages[mid] < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	*is_eager = lo < e->nr && e->pages[lo] == start;
	if (!*is_eager)
		return lo < e->nr ? min(e->pages[lo], end) : end;
	while (lo < e->nr && e->pages[lo] == start && start < end) {
		start += PAGE_SIZE;
		lo++;
	}
	return start;
}
