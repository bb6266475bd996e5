// SPDX-License-Identifier: GPL-2.0-only
/*
 * seccomp(2): strict mode, and filters. Filters form chains, each thread points to its newest; chains that begin alike are
 * stored once (seccomp.img). A puppet's filters are suspended while criu traces it (PTRACE_O_SUSPEND_SECCOMP).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "seccomp.pb-c.h"

#include "image/image.h"
#include "remote/clone.h"
#include "task/core.h"
#include "task/parts.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define MAX_INSNS 4096 /* BPF_MAXINSNS */

struct seccomp_table {
	SeccompEntry entry;
	size_t cap;
	size_t written; /* filters in the image, +1 */
};

static struct seccomp_table *table_of(struct op *op)
{
	if (!op->seccomp && (op->seccomp = xzalloc(sizeof(*op->seccomp))))
		seccomp_entry__init(&op->seccomp->entry);
	return op->seccomp;
}

void seccomp_free(struct op *op)
{
	struct seccomp_table *s = op->seccomp;

	for (size_t i = 0; s && i < s->entry.n_seccomp_filters; i++)
		seccomp_filter__free_unpacked(s->entry.seccomp_filters[i], NULL);
	if (s)
		free(s->entry.seccomp_filters);
	free(s);
	op->seccomp = NULL;
}

static bool same_filter(const SeccompFilter *f, long prev, const void *insns, size_t len,
			uint32_t flags)
{
	return (f->has_prev ? (long)f->prev : -1) == prev && f->filter.len == len &&
	       (f->has_flags ? f->flags : 0) == flags && !memcmp(f->filter.data, insns, len);
}

/* The number of a filter that follows filter PREV (-1: none), made where it is new. -1: logged. */
static long table_add(struct seccomp_table *s, long prev, const void *insns, size_t len,
		      uint32_t flags)
{
	SeccompEntry *e = &s->entry;
	SeccompFilter *f;

	for (size_t i = prev + 1; i < e->n_seccomp_filters; i++)
		if (same_filter(e->seccomp_filters[i], prev, insns, len, flags))
			return i;
	if (xgrow(&e->seccomp_filters, &s->cap, e->n_seccomp_filters,
		  sizeof(*e->seccomp_filters)) ||
	    !PB_NEW(f, seccomp_filter__init))
		return -1;
	e->seccomp_filters[e->n_seccomp_filters] = f;
	f->filter.data = xmalloc(len);
	if (!f->filter.data)
		return -1;
	memcpy(f->filter.data, insns, len);
	f->filter.len = len;
	f->has_prev = prev >= 0;
	f->prev = prev >= 0 ? prev : 0;
	f->has_flags = flags;
	f->flags = flags;
	return e->n_seccomp_filters++;
}

/* The thread's chain, oldest first, as PTRACE_SECCOMP_GET_FILTER counts (ptrace(2) says the opposite). */
static int dump_filters(struct part *w, struct seccomp_table *s)
{
	cleanup_free struct sock_filter *insns = xcalloc(MAX_INSNS, sizeof(*insns));
	ThreadCoreEntry *tc = w->th->core->thread_core;
	long nr = 0, last = -1, len;

	if (!insns)
		return -1;
	while (ptrace(PTRACE_SECCOMP_GET_FILTER, w->th->tid, nr, NULL) >= 0)
		nr++;
	if (errno != ENOENT || !nr) {
		pr_perror("task %d, thread %d: cannot read its seccomp filters", w->t->pid,
			  w->th->tid);
		return -1;
	}
	for (long i = 0; i < nr; i++) {
		struct __ptrace_seccomp_metadata meta = { .filter_off = i };

		len = ptrace(PTRACE_SECCOMP_GET_FILTER, w->th->tid, i, insns);
		if (len < 0 || len > MAX_INSNS ||
		    ptrace(PTRACE_SECCOMP_GET_METADATA, w->th->tid, sizeof(meta), &meta) < 0) {
			pr_perror("task %d, thread %d: cannot read seccomp filter %ld", w->t->pid,
				  w->th->tid, i);
			return -1;
		}
		last = table_add(s, last, insns, len * sizeof(*insns), meta.flags);
		if (last < 0)
			return -1;
	}
	tc->has_seccomp_filter = true;
	tc->seccomp_filter = last;
	return 0;
}

int seccomp_dump(struct part *w)
{
	ThreadCoreEntry *tc = w->th->core->thread_core;
	struct seccomp_table *s = table_of(w->op);

	if (!s)
		return -1;
	if (w->status->seccomp == SECCOMP_MODE_DISABLED)
		return 0;
	tc->has_seccomp_mode = true;
	tc->seccomp_mode = w->status->seccomp == SECCOMP_MODE_STRICT ? SECCOMP_MODE__strict
								     : SECCOMP_MODE__filter;
	return tc->seccomp_mode == SECCOMP_MODE__filter ? dump_filters(w, s) : 0;
}

int seccomp_write(struct op *op)
{
	struct seccomp_table *s = table_of(op);

	if (!s)
		return -1;
	if (s->written == s->entry.n_seccomp_filters + 1)
		return 0;
	s->written = s->entry.n_seccomp_filters + 1;
	return image_write_one(op->images, IMG_SECCOMP, 0, &s->entry.base);
}

static int check_table(const SeccompEntry *e)
{
	for (size_t i = 0; i < e->n_seccomp_filters; i++) {
		const SeccompFilter *f = e->seccomp_filters[i];
		size_t len = f->filter.len;

		if (!len || len % sizeof(struct sock_filter) ||
		    len / sizeof(struct sock_filter) > MAX_INSNS || (f->has_prev && f->prev >= i)) {
			pr_err("seccomp image: filter %zu is damaged", i);
			return -1;
		}
	}
	return 0;
}

int seccomp_check(struct op *op, const CoreEntry *core)
{
	const ThreadCoreEntry *tc = core->thread_core;
	struct seccomp_table *s;
	SeccompEntry *e;

	if (tc->seccomp_mode != SECCOMP_MODE__filter)
		return 0;
	if (!op->seccomp) {
		s = table_of(op);
		if (!s || image_read_one(op->images, IMG_SECCOMP, 0, (ProtobufCMessage **)&e))
			return -1;
		s->entry = *e; /* its filters are ours now */
		free(e);
		if (check_table(&s->entry))
			return -1;
	}
	if (tc->has_seccomp_filter && tc->seccomp_filter < op->seccomp->entry.n_seccomp_filters)
		return 0;
	pr_err("core image: seccomp filter %u is not in seccomp.img", tc->seccomp_filter);
	return -1;
}

static int install(struct part *w, const SeccompFilter *f)
{
	size_t len = f->filter.len;
	struct sock_fprog prog = { .len = len / sizeof(struct sock_filter) };

	if (part_room(w, 1, len + 64))
		return -1;
	prog.filter = (void *)prog_buf(w->p, f->filter.data, len);
	prog_add(w->p, RC_STOP, __NR_seccomp, SECCOMP_SET_MODE_FILTER, f->has_flags ? f->flags : 0,
		 prog_buf(w->p, &prog, sizeof(prog)));
	return 0;
}

/* From the oldest on: what installs a later one is checked by the earlier, were they not suspended. */
static int install_chain(struct part *w, const SeccompEntry *e, uint32_t newest)
{
	cleanup_free uint32_t *chain = xcalloc(e->n_seccomp_filters, sizeof(*chain));
	size_t nr = 0;

	if (!chain)
		return -1;
	for (uint32_t i = newest;; i = e->seccomp_filters[i]->prev) {
		chain[nr++] = i;
		if (!e->seccomp_filters[i]->has_prev)
			break;
	}
	while (nr--)
		if (install(w, e->seccomp_filters[chain[nr]]))
			return -1;
	return 0;
}

int seccomp_restore_late(struct part *w)
{
	const ThreadCoreEntry *tc = w->th->core->thread_core;

	if (tc->seccomp_mode == SECCOMP_MODE__disabled)
		return 0;
	if (puppet_suspend_seccomp(w->p))
		return -1;
	if (tc->seccomp_mode == SECCOMP_MODE__filter)
		return install_chain(w, &w->op->seccomp->entry, tc->seccomp_filter);
	if (part_room(w, 1, 0))
		return -1;
	prog_add(w->p, RC_STOP, __NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
	return 0;
}
