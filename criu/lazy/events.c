// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel says on a userfaultfd (Documentation/admin-guide/mm/userfaultfd.rst, "Non-cooperative userfaultfd"). A task that
 * forks, moves, unmaps or discards memory waits until its message is read, and UFFDIO_COPY says EAGAIN until then: so
 * a page is never put where the task has changed its mind.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <unistd.h>

#include "lazy/lazyd.h"
#include "lazy/uffd.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* ---- changes ---- */

static bool somebody_lacks(struct object *obj, uint64_t page, uint64_t nr)
{
	struct space *sp;

	TAILQ_FOREACH (sp, &obj->spaces, link)
		if (sp->uffd >= 0 && space_next_left(sp, page, page + nr, false) < page + nr)
			return true;
	return false;
}

static void gone(struct space *sp, uint64_t src, uint64_t nr_pages, void *arg)
{
	struct lazyd *d = arg;
	uint64_t left;
	int64_t page = object_page(sp->obj, src, &left);

	d->nr_left -= nr_pages;
	d->changed = true;
	if (d->epoll < 0) /* the dead worker has counted it, and no server was told to send it */
		return;
	d->st.gone += nr_pages;
	if (d->remote && page >= 0 && !somebody_lacks(sp->obj, page, nr_pages))
		remote_unwant(d, sp->obj, src, nr_pages);
}

static int forked(struct lazyd *d, struct space *sp, int uffd)
{
	struct space *child = space_fork(sp, uffd);

	if (!child) {
		close(uffd);
		return -1;
	}
	pr_debug("task %d forked, its child lacks %" PRIu64 " pages", sp->pid, child->nr_left);
	d->unsettled = true;
	child->forked_ns = now_ns();
	d->nr_spaces++;
	d->nr_left += child->nr_left;
	d->st.history->total_pages += child->nr_left;
	if (d->epoll < 0) /* a new worker learns what was: it watches afterwards */
		return 0;
	if (watch(d, uffd, WATCH_SPACE, child))
		return -1;
	if (!child->nr_left && d->finished)
		space_ended(d, child);
	return 0;
}

/*
 * The kernel says what it has done after it has let go of the mappings: a fork may be told of before a move that another thread made before
 * it. Then the child has what was moved where it is now, too.
 */
static bool child_has_moved(struct space *child, const struct uffd_msg *m)
{
	/* something else that is registered there, already before the fork? */
	if (space_lacks(child, m->arg.remap.to, m->arg.remap.len))
		return !uffd_is_registered(child->uffd, m->arg.remap.from);
	return uffd_is_registered(child->uffd, m->arg.remap.to);
}

static int move(struct lazyd *d, struct space *sp, const struct uffd_msg *m)
{
	pr_debug("task %d%s: 0x%" PRIx64 " moved to 0x%" PRIx64 ", %" PRIu64 " bytes", sp->pid,
		 sp->child ? " (forked)" : "", (uint64_t)m->arg.remap.from,
		 (uint64_t)m->arg.remap.to, (uint64_t)m->arg.remap.len);
	if (space_move(sp, m->arg.remap.from, m->arg.remap.to, m->arg.remap.len))
		return -1;
	d->unsettled = true;
	/* who waits at the old address shall see what is there now; a fault at the new one may have been told of before the move, and taken for one of what was there */
	uffd_wake(sp->uffd, m->arg.remap.from, m->arg.remap.len);
	uffd_wake(sp->uffd, m->arg.remap.to, m->arg.remap.len);
	return 0;
}

static int moved(struct lazyd *d, struct space *sp, const struct uffd_msg *m)
{
	struct space *child;

	/* a new worker learns of the children from the journal */
	if (d->epoll >= 0)
		TAILQ_FOREACH (child, &sp->obj->spaces, link)
			if (child->forked_from == sp && child->uffd >= 0 &&
			    child_has_moved(child, m)) {
				journal_also(d->j, child->uffd, m);
				if (move(d, child, m))
					return -1;
			}
	return move(d, sp, m);
}

int mapping_changed(struct lazyd *d, struct space *sp, const struct uffd_msg *m)
{
	uint64_t start = m->arg.remove.start, len = m->arg.remove.end - m->arg.remove.start;
	int ret;

	switch (m->event) {
	case UFFD_EVENT_FORK:
		return forked(d, sp, m->arg.fork.ufd);
	case UFFD_EVENT_REMAP:
		return moved(d, sp, m);
	case UFFD_EVENT_REMOVE:
	case UFFD_EVENT_UNMAP:
		pr_debug("task %d: 0x%" PRIx64 "-0x%" PRIx64 " %s", sp->pid, start, start + len,
			 m->event == UFFD_EVENT_UNMAP ? "unmapped" : "discarded");
		ret = m->event == UFFD_EVENT_UNMAP ? space_unmapped(sp, start, len, gone, d)
						   : space_discard(sp, start, len, gone, d);
		uffd_wake(sp->uffd, start, len);
		return ret;
	}
	pr_err("userfaultfd of task %d: unknown event 0x%x", sp->pid, m->event);
	return -1;
}

/* ---- in which order ---- */

void settled(struct lazyd *d, struct space *sp)
{
	space_quiet(sp, gone, d);
	sp->forked_from = NULL;
}

/*
 * A parent whose threads change mappings all the time is never seen at rest. What they were at when it forked has been told long before PATIENCE_NS in all but
 * the rarest cases, and before SETTLED_NS in any: until then late messages are still looked at for the child, but nobody waits for them.
 */
#define PATIENCE_NS 5000000ULL
#define SETTLED_NS  1000000000ULL

static bool patient(const struct space *sp)
{
	return sp->forked_from && now_ns() < sp->forked_ns + PATIENCE_NS;
}

/* Reads what the parent of SP has to say, if it may concern SP. -1 logged */
static int settle(struct lazyd *d, struct space *sp)
{
	struct space *parent = sp->forked_from;

	if (!parent)
		return 0;
	if (parent->uffd >= 0 && now_ns() < sp->forked_ns + SETTLED_NS &&
	    uffd_is_changing(parent->uffd))
		return events_read(d, parent) < 0 ? -1 : 0;
	sp->forked_from = NULL;
	return 0;
}

void end_if_complete(struct lazyd *d, struct space *sp)
{
	struct space *child;

	if (sp->uffd < 0 || sp->nr_left || !d->finished)
		return;
	TAILQ_FOREACH (child, &sp->obj->spaces, link)
		if (child->forked_from == sp)
			return; /* it has not been told everything */
	space_ended(d, sp);
}

int settle_space(struct lazyd *d, struct space *sp, uint64_t src, uint64_t end)
{
	while (sp->uffd >= 0 && (patient(sp) || space_displaced(sp, src, end))) {
		if (events_read(d, sp) < 0 || settle_spaces(d))
			return -1;
		sched_yield();
	}
	return 0;
}

int settle_spaces(struct lazyd *d)
{
	bool unsettled = false;
	struct object *obj;
	struct space *sp;

	if (!d->unsettled)
		return 0;
	TAILQ_FOREACH (obj, &d->objects, link)
		TAILQ_FOREACH (sp, &obj->spaces, link) {
			if (sp->uffd < 0 || !space_unsettled(sp))
				continue;
			if (settle(d, sp))
				return -1;
			if (sp->uffd < 0)
				continue;
			if (!sp->forked_from && !uffd_is_changing(sp->uffd)) {
				journal_quiet(d->j, sp->uffd);
				settled(d, sp);
				continue;
			}
			unsettled = true;
		}
	d->unsettled = unsettled;
	TAILQ_FOREACH (obj, &d->objects, link)
		TAILQ_FOREACH (sp, &obj->spaces, link)
			end_if_complete(d, sp);
	return 0;
}

static int queue_fault(struct lazyd *d, struct space *sp, uint64_t addr)
{
	if (xgrow(&d->faults, &d->faults_cap, d->nr_faults, sizeof(*d->faults)))
		return -1;
	d->faults[d->nr_faults++] =
		(struct fault){ .sp = sp, .addr = round_down(addr, PAGE_SIZE), .at_ns = now_ns() };
	d->st.faults++;
	return 0;
}

int events_read(struct lazyd *d, struct space *sp)
{
	int uffd = sp->uffd, some = 0;
	const struct uffd_msg *msgs;
	ssize_t n;

	if (settle(d, sp))
		return -1;
	if (patient(sp))
		return 0;
	do {
		n = journal_read(d->j, uffd, &msgs);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			pr_perror("userfaultfd of task %d: can't read", sp->pid);
			return -1;
		}
		some = 1;
		for (int i = 0; i < n; i++)
			if (msgs[i].event == UFFD_EVENT_PAGEFAULT
				    ? queue_fault(d, sp, msgs[i].arg.pagefault.address)
				    : mapping_changed(d, sp, &msgs[i]))
				return -1;
	} while (n == JOURNAL_BATCH);
	/* the task may have thrown away the last that it lacked */
	end_if_complete(d, sp);
	return some;
}

/* ---- faults ---- */

/* How many pages this fault asks for: twice as many each time that a fault goes on where an answer ended. */
static uint64_t widen(struct space *sp, uint64_t addr, uint64_t most)
{
	struct stream *st = NULL;
	uint64_t nr;

	for (unsigned i = 0; i < NR_STREAMS && !st; i++)
		if (sp->streams[i].next == addr)
			st = &sp->streams[i];
	if (st) {
		st->widen = min(st->widen * 2, MAX_WIDEN);
	} else {
		st = &sp->streams[sp->oldest_stream++ % NR_STREAMS];
		st->widen = 1;
	}
	nr = min((uint64_t)st->widen, most);
	st->next = addr + nr * PAGE_SIZE;
	return nr;
}

static bool asked_by_another(struct space *sp, uint64_t page)
{
	struct space *other;

	TAILQ_FOREACH (other, &sp->obj->spaces, link)
		if (space_state(other, page) == PAGE_ASKED)
			return true;
	return false;
}

static int zero_fault(struct lazyd *d, struct fault *f)
{
	uint64_t done;

	/* hugetlb has no call for zeros, and takes them only whole */
	switch (f->sp->obj->hugetlb.nr ? uffd_zero(f->sp->uffd, f->addr)
				       : uffd_fill(f->sp->uffd, f->addr, NULL, 1, &done)) {
	case UFFD_OK:
		d->st.zero_faults++;
		return 0;
	case UFFD_AGAIN:
		return 1;
	case UFFD_GONE:
		space_ended(d, f->sp);
		return 0;
	case UFFD_FAILED:
		break;
	}
	return -1;
}

/* 0: answered or asked for, 1: the mappings are changing, or too much is asked for already: again later, -1 logged */
static int answer(struct lazyd *d, struct fault *f)
{
	struct space *sp = f->sp;
	uint64_t src, len, left, nr, other;
	int64_t page;

	if (sp->uffd < 0)
		return 0;
	if (settle(d, sp))
		return -1;
	if (patient(sp) || (d->remote && remote_full(d)))
		return 1;
	if (!space_source(sp, f->addr, &src, &len))
		return zero_fault(d, f);
	page = object_page(sp->obj, src, &left);
	if (page < 0)
		return zero_fault(d, f);
	stats_fault(d, sp->obj, page);
	if (object_hugetlb(sp->obj, src, &other))
		return hugetlb_lacks(sp, round_down(src, HUGE_SIZE))
			       ? hugetlb_fault(d, sp, src, f->at_ns)
			       : zero_fault(d, f);
	switch (space_state(sp, page)) {
	case PAGE_DONE: /* it has come meanwhile, or it was discarded before: zeros go only where nothing is */
		return zero_fault(d, f);
	case PAGE_ASKED:
		d->st.known_faults++;
		return 0;
	case PAGE_MISSING:
		break;
	}
	left = min(min(left, min(len, other) / PAGE_SIZE), (uint64_t)MAX_WIDEN);
	nr = widen(sp, f->addr, space_stretch(sp, page, page + left, true));
	if (!d->remote || object_here(sp->obj, page, &left)) {
		if (local_fault(d, sp->obj, src, nr))
			return -1;
		stats_latency(&d->st, now_ns() - f->at_ns);
		return 0;
	}
	if (asked_by_another(sp, page)) {
		space_set(sp, page, 1, PAGE_ASKED);
		d->st.known_faults++;
		return 0;
	}
	space_set(sp, page, nr, PAGE_ASKED);
	return remote_ask(d, sp->obj, src, nr, f->at_ns);
}

int faults_answer(struct lazyd *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->nr_faults; i++) {
		struct fault f = d->faults[i]; /* answering may read more and move the array */
		int ret = answer(d, &f);

		if (ret < 0)
			return -1;
		if (ret)
			d->faults[kept++] = f;
	}
	d->nr_faults = kept;
	return d->remote ? remote_flush(d) : 0;
}
