// SPDX-License-Identifier: GPL-2.0-only
#include "mem/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define SOURCE_RUNS 64

int source_init(struct page_source *s, uint64_t dst_id, struct pagemap *pm, pid_t pid)
{
	*s = (struct page_source){ .dst_id = dst_id, .pm = pm, .pid = pid, .mem = -1 };
	s->first = xcalloc(pm->nr + 1, sizeof(*s->first));
	if (!s->first)
		return -1;
	for (size_t i = 0; i < pm->nr; i++) {
		s->first[i] = s->nr_pages;
		s->nr_pages += pm->runs[i].nr_pages;
	}
	s->first[pm->nr] = s->nr_pages;
	if (pid) { /* opened here, before there are threads, and while criu has the task for sure */
		char path[32];

		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		s->mem = open(path, O_RDONLY | O_CLOEXEC);
	}
	return 0;
}

void source_end(struct page_source *s)
{
	close_safe(&s->mem);
	free(s->first);
	s->first = NULL;
}

int64_t source_page(const struct page_source *s, uint64_t vaddr, uint64_t *left)
{
	size_t i = pagemap_find(s->pm, vaddr);
	const struct page_run *r = &s->pm->runs[i];
	uint64_t skip;

	if (i == s->pm->nr || r->start > vaddr)
		return -1;
	skip = (vaddr - r->start) / PAGE_SIZE;
	*left = r->nr_pages - skip;
	return s->first[i] + skip;
}

uint64_t source_vaddr(const struct page_source *s, uint64_t page, uint64_t *left)
{
	size_t lo = 0, hi = s->pm->nr;

	while (hi - lo > 1) { /* the last run that does not begin after PAGE */
		size_t mid = lo + (hi - lo) / 2;

		if (s->first[mid] <= page)
			lo = mid;
		else
			hi = mid;
	}
	*left = s->first[lo + 1] - page;
	return s->pm->runs[lo].start + (page - s->first[lo]) * PAGE_SIZE;
}

/* process_vm_readv(2) is fast, but stops at pages that the task itself may not read; /proc/PID/mem does not. */
static int read_task(struct page_source *s, uint64_t vaddr, size_t len, char *buf)
{
	while (len) {
		struct iovec local = { buf, len }, remote = { (void *)vaddr, len };
		ssize_t n = process_vm_readv(s->pid, &local, 1, &remote, 1, 0);

		if (n <= 0)
			n = s->mem < 0 ? n : pread(s->mem, buf, min(len, PAGE_SIZE), vaddr);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			pr_perror("Can't read the memory of task %d at 0x%" PRIx64, s->pid, vaddr);
			return -1;
		}
		vaddr += n;
		buf += n;
		len -= n;
	}
	return 0;
}

static int read_extent(struct page_source *s, const struct page_extent *e, char *buf)
{
	size_t len = e->nr_pages * PAGE_SIZE;
	ssize_t n;

	switch (e->where) {
	case PAGES_FILE:
		n = pread_full(e->fd, buf, len, e->off);
		if (n == (ssize_t)len)
			return 0;
		if (n >= 0)
			errno = ENODATA;
		pr_perror("Can't read the pages at 0x%" PRIx64 " of object %" PRIu64
			  " from its images",
			  e->start, s->dst_id >> 8);
		return -1;
	case PAGES_REMOTE:
		if (s->pid)
			return read_task(s, e->start, len, buf);
		pr_err("The pages at 0x%" PRIx64 " of task %" PRIu64
		       " are not in these images: they stayed on the host that was dumped",
		       e->start, s->dst_id >> 8);
		return -1;
	case PAGES_HOLE:
		break;
	}
	pr_err("Object %" PRIu64 " has no pages at 0x%" PRIx64, s->dst_id >> 8, e->start);
	return -1;
}

int source_read(struct page_source *s, uint64_t vaddr, uint64_t nr_pages, void *buf)
{
	uint64_t end = vaddr + nr_pages * PAGE_SIZE;
	struct page_extent e;

	for (uint64_t at = vaddr; at < end; at += e.nr_pages * PAGE_SIZE) {
		pagemap_extent(s->pm, at, end, &e);
		if (read_extent(s, &e, (char *)buf + (at - vaddr)))
			return -1;
	}
	return 0;
}

/* All runs from the frozen task with one call. False: it was not possible, nothing is logged. */
static bool readv_task(struct page_source *s, const struct source_run *runs, unsigned nr, char *buf)
{
	struct iovec remote[SOURCE_RUNS], local = { .iov_base = buf };
	struct page_extent e;

	if (!s->pid || nr > SOURCE_RUNS)
		return false;
	for (unsigned i = 0; i < nr; i++) {
		pagemap_extent(s->pm, runs[i].vaddr, runs[i].vaddr + runs[i].nr_pages * PAGE_SIZE,
			       &e);
		if (e.where != PAGES_REMOTE || e.nr_pages != runs[i].nr_pages)
			return false;
		remote[i].iov_base = (void *)runs[i].vaddr;
		remote[i].iov_len = runs[i].nr_pages * PAGE_SIZE;
		local.iov_len += remote[i].iov_len;
	}
	return process_vm_readv(s->pid, &local, 1, remote, nr, 0) == (ssize_t)local.iov_len;
}

int source_readv(struct page_source *s, const struct source_run *runs, unsigned nr, void *buf)
{
	if (readv_task(s, runs, nr, buf))
		return 0;
	for (unsigned i = 0; i < nr; i++) {
		if (source_read(s, runs[i].vaddr, runs[i].nr_pages, buf))
			return -1;
		buf = (char *)buf + runs[i].nr_pages * PAGE_SIZE;
	}
	return 0;
}

bool page_is_zero(const void *page)
{
	const uint64_t *p = page;

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*p); i += 8)
		if (p[i] | p[i + 1] | p[i + 2] | p[i + 3] | p[i + 4] | p[i + 5] | p[i + 6] |
		    p[i + 7])
			return false;
	return true;
}
