// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/precopy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "mem/mem.h"
#include "mem/pagemap.h"
#include "mem/scan.h"
#include "mem/sink.h"
#include "mem/splice.h"
#include "mem/track.h"
#include "util/io.h"
#include "util/log.h"

#define BUF_PAGES 256
#define MAX_IOV	  1024

struct precopy {
	struct task *t;
	const struct vma *vma; /* being scanned */
	struct op *op;
	struct page_run *runs;
	size_t nr, cap;
	struct page_pipes *pipes; /* splice: the first pages of the PRESENT runs; NULL */
	struct page_sink sink;
	int mem; /* /proc/PID/mem */
	char *buf;
	/* what is queued for one read of up to BUF_PAGES */
	struct iovec iov[MAX_IOV];
	unsigned nr_iov;
	size_t len;
	bool gone; /* the task has ended */
};

/* ---- while the task is stopped ---- */

static int add_found(const struct scan_region *r, void *arg)
{
	struct precopy *pc = arg;
	uint64_t nr_pages = (r->end - r->start) / PAGE_SIZE;
	bool unchanged = pc->vma->tracked && !(r->categories & PM_WRITTEN);
	uint32_t flags = unchanged ? PE_PARENT : PE_LAZY | PE_PRESENT;
	struct page_run *last = pc->nr ? &pc->runs[pc->nr - 1] : NULL;

	if (!pc->vma->tracked && !(r->categories & PM_WRITTEN) &&
	    track_protect_stale(pc->t, r->start, nr_pages))
		return 1;
	pc->op->stats.pages_scanned += nr_pages;
	if (unchanged)
		pc->op->stats.pages_skipped_parent += nr_pages;
	if (last && last->flags == flags && last->start + last->nr_pages * PAGE_SIZE == r->start) {
		last->nr_pages += nr_pages;
		return 0;
	}
	if (xgrow(&pc->runs, &pc->cap, pc->nr, sizeof(*pc->runs)))
		return 1;
	pc->runs[pc->nr++] =
		(struct page_run){ .start = r->start, .nr_pages = nr_pages, .flags = flags };
	return 0;
}

/* Only areas that are tracked: the others are saved whole by the last dump, whatever a pre-dump says. */
static int scan(struct precopy *pc)
{
	struct task *t = pc->t;
	cleanup_close int pagemap = openat(t->proc, "pagemap", O_RDONLY | O_CLOEXEC);

	if (pagemap < 0) {
		pr_perror("Can't open /proc/%d/pagemap", t->pid);
		return -1;
	}
	if (track_areas(t, pagemap, true))
		return -1;
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i];

		pc->vma = v;
		if (v->registered &&
		    scan_tracked_pages(pagemap, v->e.start, v->e.end, true, add_found, pc))
			return -1;
	}
	return track_begin_soft_dirty(t);
}

struct precopy *precopy_scan(struct op *op, struct task *t)
{
	struct precopy *pc = xzalloc(sizeof(*pc));

	if (!pc)
		return NULL;
	pc->op = op;
	pc->t = t;
	pc->mem = -1;
	if (scan(pc)) {
		precopy_free(pc);
		return NULL;
	}
	/* what is to be encrypted must be read anyway */
	if (opts.pre_dump_mode == PRE_DUMP_SPLICE && !opts.tls && !opts.tls_psk)
		pc->pipes = pipes_fill(op, t, pc->runs, pc->nr);
	return pc;
}

void precopy_free(struct precopy *pc)
{
	if (!pc)
		return;
	pipes_free(pc->pipes);
	close_safe(&pc->mem);
	free(pc->runs);
	free(pc->buf);
	free(pc);
}

/* ---- while it runs ---- */

static int put(struct precopy *pc, uint64_t start, const char *data, size_t len)
{
	if (sink_run(&pc->sink, start, len / PAGE_SIZE, PE_LAZY | PE_PRESENT))
		return -1;
	if (sink_write(&pc->sink, data, len))
		return -1;
	pc->op->stats.pages_written += len / PAGE_SIZE;
	return 0;
}

/*
 * Page by page, for what process_vm_readv() did not read: the task may not read it itself, or it is gone. A page that can't be had is
 * left out, and counts as written from now on.
 */
static int put_slowly(struct precopy *pc, uint64_t start, size_t len)
{
	for (uint64_t at = start; at < start + len && !pc->gone; at += PAGE_SIZE) {
		ssize_t n = pread(pc->mem, pc->buf, PAGE_SIZE, at);

		if (n == (ssize_t)PAGE_SIZE) {
			if (put(pc, at, pc->buf, PAGE_SIZE))
				return -1;
			continue;
		}
		track_unprotect(pc->t, at, 1);
		pc->gone = !n; /* an address space that has ended */
	}
	return 0;
}

/* Everything queued is read at once, and stored. */
static int copy_queued(struct precopy *pc)
{
	struct iovec local = { pc->buf, pc->len };
	unsigned nr = pc->nr_iov;
	const char *data = pc->buf;
	ssize_t n;

	pc->nr_iov = 0;
	pc->len = 0;
	if (!nr || pc->gone)
		return 0;
	n = process_vm_readv(pc->t->pid, &local, 1, pc->iov, nr, 0);
	if (n < 0 && errno == ESRCH) {
		pc->gone = true;
		return 0;
	}
	n = max(n, (ssize_t)0);
	for (unsigned i = 0; i < nr; i++) {
		uint64_t start = (uint64_t)pc->iov[i].iov_base;
		size_t len = pc->iov[i].iov_len, part = round_down(min(len, (size_t)n), PAGE_SIZE);

		if (part && put(pc, start, data, part))
			return -1;
		if (part == len) {
			data += len;
			n -= len;
			continue;
		}
		n = 0; /* the buffer is used anew */
		if (put_slowly(pc, start + part, len - part))
			return -1;
	}
	return 0;
}

static int queue(struct precopy *pc, uint64_t start, uint64_t len)
{
	while (len) {
		size_t part = min(len, BUF_PAGES * PAGE_SIZE - pc->len);

		if (!part || pc->nr_iov == MAX_IOV) {
			if (copy_queued(pc))
				return -1;
			continue;
		}
		pc->iov[pc->nr_iov++] = (struct iovec){ (void *)start, part };
		pc->len += part;
		start += part;
		len -= part;
	}
	return 0;
}

/* What is in pipes comes from there, the rest from the task. */
static int write_present(struct precopy *pc, const struct page_run *r)
{
	uint64_t at = r->start, end = r->start + r->nr_pages * PAGE_SIZE;

	while (at < end) {
		uint64_t len = pipes_next(pc->pipes, at, end - at);

		if (!len)
			return queue(pc, at, end - at);
		if (copy_queued(pc) || sink_run(&pc->sink, at, len / PAGE_SIZE, r->flags) ||
		    pipes_drain(pc->pipes, &pc->sink, len))
			return -1;
		pc->op->stats.pages_written += len / PAGE_SIZE;
		at += len;
	}
	return 0;
}

static int write_runs(struct precopy *pc)
{
	for (size_t i = 0; i < pc->nr; i++) {
		const struct page_run *r = &pc->runs[i];

		if (r->flags & PE_PRESENT) {
			if (write_present(pc, r))
				return -1;
		} else if (copy_queued(pc) ||
			   sink_run(&pc->sink, r->start, r->nr_pages, r->flags)) {
			return -1;
		}
	}
	return copy_queued(pc);
}

int precopy_write(struct op *op, struct precopy *pc)
{
	struct task *t = pc->t;
	int ret;

	pc->buf = xmalloc(BUF_PAGES * PAGE_SIZE);
	pc->mem = openat(t->proc, "mem", O_RDONLY | O_CLOEXEC);
	if (!pc->buf)
		return -1;
	if (sink_open(&pc->sink, op->images, IMG_PAGEMAP, t->vpid))
		return -1;
	ret = sink_check_parent(&pc->sink, op->images, t->vpid, t->tracked) ?: write_runs(pc);
	ret |= sink_close(&pc->sink);
	if (pc->gone)
		pr_warn("Task %d has ended while its memory was copied", t->pid);
	return ret ? -1 : 0;
}
