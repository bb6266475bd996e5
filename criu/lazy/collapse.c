// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages came one by one: what was in huge pages when it was dumped (mem/huge.h) is joined to huge pages again, by process_madvise(MADV_COLLAPSE). That copies and
 * holds the task up for milliseconds, so it is done when every page of every task is in place and the source has been told.
 *
 * Only whole huge pages are: a task that has discarded a part of one meanwhile does not get that memory back, and pages that are shared with a forked child stay
 * shared. The kernel refuses where the task's own MADV_NOHUGEPAGE or PR_SET_THP_DISABLE does. Without CAP_SYS_NICE it is not possible: the memory is right as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lazy/lazyd.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mmap_flags.h"
#include "util/xmalloc.h"

/* One call's: each begins with a wait for all processors. */
#define BATCH  (16 * HUGE_SIZE)
#define MAX_US (10 * 1000000UL)

/* /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst) */
#define PME_PRESENT   (1ULL << 63)
#define PME_FILE      (1ULL << 61)
#define PME_EXCLUSIVE (1ULL << 56)

/* What a space had when it was complete. */
struct collapse {
	pid_t pid;
	int pidfd;
	struct huge_list where;
	TAILQ_ENTRY(collapse) link;
};

/* Where the huge pages of the source are now, as far as they were not torn. */
static int find_places(struct space *sp, struct huge_list *where)
{
	const struct huge_list *huge = &sp->obj->huge;

	for (size_t i = 0; i < huge->nr; i++) {
		uint64_t src = huge->v[i].start, end = src + huge->v[i].len, addr, len;

		for (; src < end && space_place(sp, &src, end, &addr, &len); src += len)
			/* what was moved may begin elsewhere within a huge page */
			if ((addr - src) % HUGE_SIZE == 0 && huge_add(where, addr, addr + len))
				return -1;
	}
	return 0;
}

void collapse_later(struct lazyd *d, struct space *sp)
{
	struct collapse *c;
	pid_t pid;

	if (!sp->obj->huge.nr || sp->nr_left)
		return;
	pid = space_pid(sp);
	if (!pid)
		return;
	c = xzalloc(sizeof(*c));
	if (!c)
		return;
	if (find_places(sp, &c->where)) {
		huge_free(&c->where);
		free(c);
		return;
	}
	c->pid = pid;
	c->pidfd = sp->pidfd;
	TAILQ_INSERT_TAIL(&d->collapses, c, link);
}

/* Is every page of it there, and nobody else's? */
static bool is_whole(int pagemap, uint64_t addr)
{
	uint64_t words[HUGE_PAGES], want = PME_PRESENT | PME_EXCLUSIVE;

	if (pread_full(pagemap, words, sizeof(words), addr / PAGE_SIZE * 8) != sizeof(words))
		return false;
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		if ((words[i] & (want | PME_FILE)) != want)
			return false;
	return true;
}

struct progress {
	uint64_t until_us;
	int signals;
	uint64_t done; /* bytes */
};

static bool go_on(const struct progress *p)
{
	struct pollfd signals = { .fd = p->signals, .events = POLLIN };

	return now_us() < p->until_us && poll(&signals, 1, 0) <= 0;
}

/* False: there is no use in trying others. */
static bool advise(struct progress *p, const struct collapse *c, uint64_t start, uint64_t len)
{
	struct iovec iov = { (void *)start, len };

	if (!len)
		return true;
	if (syscall(SYS_process_madvise, c->pidfd, &iov, 1, MADV_COLLAPSE, 0) == (ssize_t)len) {
		p->done += len;
		return true;
	}
	if (errno == EPERM || errno == ENOSYS || errno == ESRCH) {
		pr_info("task %d: its pages are not joined to huge ones: %s", c->pid,
			strerror(errno));
		return errno == ESRCH;
	}
	/* EINVAL, ENOMEM, EAGAIN, EBUSY: some are not to be huge, or cannot be now */
	for (uint64_t at = start; len > HUGE_SIZE && at < start + len; at += HUGE_SIZE)
		if (!go_on(p) || !advise(p, c, at, HUGE_SIZE))
			return false;
	return true;
}

/* One range of c->where. */
static bool collapse_range(struct progress *p, const struct collapse *c, int pagemap,
			   const struct huge_range *r)
{
	uint64_t start = r->start, end = r->start + r->len;

	for (uint64_t at = start; at < end; at += HUGE_SIZE) {
		bool whole = is_whole(pagemap, at);

		if (whole && at + HUGE_SIZE - start < BATCH)
			continue;
		if (!go_on(p) || !advise(p, c, start, (whole ? at + HUGE_SIZE : at) - start))
			return false;
		start = at + HUGE_SIZE;
	}
	return advise(p, c, start, end - start);
}

static bool collapse_task(struct progress *p, const struct collapse *c)
{
	cleanup_close int pagemap = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", c->pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; pagemap >= 0 && i < c->where.nr; i++)
		if (!collapse_range(p, c, pagemap, &c->where.v[i]))
			return false;
	return true;
}

void collapse_all(struct lazyd *d)
{
	struct progress p = { .until_us = now_us() + MAX_US, .signals = d->signals };
	uint64_t total = 0, start = now_us();
	struct collapse *c;
	bool more = true;

	while ((c = TAILQ_FIRST(&d->collapses))) {
		TAILQ_REMOVE(&d->collapses, c, link);
		for (size_t i = 0; i < c->where.nr; i++)
			total += c->where.v[i].len;
		more = more && collapse_task(&p, c);
		huge_free(&c->where);
		free(c);
	}
	if (total)
		pr_info("%" PRIu64 " of %" PRIu64 " huge pages are huge again, after %" PRIu64
			" us",
			p.done / HUGE_SIZE, total / HUGE_SIZE, now_us() - start);
}
