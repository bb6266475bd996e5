// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saving private pages. What a page scan finds becomes runs of the pagemap; the bytes are written by the task
 * itself (its puppet calls writev on the pages file): one copy, from its memory into the page cache.
 * With --lazy-pages the pages that may come later stay where they are, in the frozen task.
 */
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "mem/eager.h"
#include "mem/huge.h"
#include "mem/mem.h"
#include "mem/pagemap.h"
#include "mem/scan.h"
#include "mem/sink.h"
#include "mem/track.h"
#include "remote/fdpass.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/log.h"

#define MAX_IOV 1024
/* a write of the kernel ends at 2 GiB less a page */
#define MAX_WRITE (1UL << 30)

struct pages_out {
	struct op *op;
	struct task *t;
	const struct vma *vma;
	struct page_sink sink;
	struct fd_channel channel;
	int remote_fd; /* the pages file in the task; -1: the task has no room for a descriptor */
	int mem;       /* /proc/PID/mem, for areas that the task may not read itself */
	struct eager eager;
	struct huge_list huge;
	struct iovec iov[MAX_IOV];
	unsigned nr_iov;
	size_t len; /* bytes in iov */
};

/* The slow way, from outside: areas without PROT_READ, tasks without a free descriptor, pages that go through TLS. */
static int copy_from_outside(struct pages_out *o, uint64_t start, size_t len)
{
	cleanup_free char *buf = xmalloc(1 << 20);

	if (!buf)
		return -1;
	while (len) {
		size_t part = min(len, (size_t)1 << 20);

		if (pread_full(o->mem, buf, part, start) != (ssize_t)part) {
			pr_perror("Can't read the memory of task %d at %#lx", o->t->pid, start);
			return -1;
		}
		if (sink_write(&o->sink, buf, part))
			return -1;
		start += part;
		len -= part;
	}
	return 0;
}

/* Writes what is queued. The task's writev may stop part way: it is called again. */
static int flush(struct pages_out *o)
{
	struct puppet *p = leader(o->t)->puppet;
	struct iovec *iov = o->iov;
	unsigned nr = o->nr_iov;

	o->nr_iov = 0;
	o->len = 0;
	if (o->remote_fd < 0) {
		for (unsigned i = 0; i < nr; i++)
			if (copy_from_outside(o, (uint64_t)iov[i].iov_base, iov[i].iov_len))
				return -1;
		return 0;
	}
	while (nr) {
		ssize_t n;

		prog_reset(p);
		n = puppet_call(p, __NR_writev, o->remote_fd, prog_buf(p, iov, nr * sizeof(*iov)),
				nr);
		if (n == -EIO || n == 0)
			errno = n ? EIO : ENOSPC;
		else if (n < 0)
			errno = -n;
		if (n <= 0) {
			pr_perror("Can't write the pages of task %d to %s", o->t->pid,
				  sink_name(&o->sink));
			return -1;
		}
		iov_advance(&iov, &nr, n);
	}
	return 0;
}

/* Queues pages for the task to write, or copies them at once. */
static int save(struct pages_out *o, uint64_t start, uint64_t end, uint32_t flags)
{
	uint64_t nr_pages = (end - start) / PAGE_SIZE;

	o->op->stats.pages_written += nr_pages;
	/* over the wire each run's header comes right before its bytes */
	if (o->sink.remote && flush(o))
		return -1;
	if (sink_run(&o->sink, start, nr_pages, flags))
		return -1;
	if (!(o->vma->e.prot & PROT_READ))
		return flush(o) || copy_from_outside(o, start, end - start) ? -1 : 0;
	while (start < end) {
		size_t part = min(end - start, MAX_WRITE);

		if ((o->nr_iov == MAX_IOV || o->len + part > MAX_WRITE) && flush(o))
			return -1;
		o->iov[o->nr_iov++] = (struct iovec){ (void *)start, part };
		o->len += part;
		start += part;
	}
	return 0;
}

/* Not written since the parent link, whose images have it. */
static int leave_to_parent(struct pages_out *o, uint64_t start, uint64_t end)
{
	uint64_t nr_pages = (end - start) / PAGE_SIZE;

	o->op->stats.pages_skipped_parent += nr_pages;
	if (o->sink.remote && flush(o))
		return -1;
	return sink_run(&o->sink, start, nr_pages, PE_PARENT);
}

/* --lazy-pages: they stay in the task. */
static int leave_in_task(struct pages_out *o, uint64_t start, uint64_t end)
{
	uint64_t nr_pages = (end - start) / PAGE_SIZE;

	o->op->stats.pages_lazy += nr_pages;
	o->t->nr_lazy += nr_pages;
	return sink_run(&o->sink, start, nr_pages, PE_LAZY);
}

/* --lazy-pages: the pages stay where they are, but for those that are wanted at once. (Also those of the parent: so restore need not look into it.) */
static int leave(struct pages_out *o, uint64_t start, uint64_t end,
		 int (*where)(struct pages_out *, uint64_t, uint64_t))
{
	for (uint64_t next; start < end; start = next) {
		bool eager;

		next = eager_piece(&o->eager, start, end, &eager);
		if (eager ? save(o, start, next, PE_PRESENT) : where(o, start, next))
			return -1;
	}
	return 0;
}

static int add_region(const struct scan_region *r, void *arg)
{
	struct pages_out *o = arg;
	int ret;

	if ((r->categories & PM_HUGE) && vma_lazy(o->vma) && !hugetlb(o->vma->e.flags) &&
	    huge_add(&o->huge, r->start, r->end))
		return 1;
	if (o->op->follow && o->vma->registered && !o->vma->tracked &&
	    !(r->categories & PM_WRITTEN) &&
	    track_protect_stale(o->t, r->start, (r->end - r->start) / PAGE_SIZE))
		return 1;
	o->op->stats.pages_scanned += (r->end - r->start) / PAGE_SIZE;
	if (o->vma->tracked && !(r->categories & PM_WRITTEN))
		ret = leave(o, r->start, r->end, leave_to_parent);
	else if (!vma_lazy(o->vma))
		ret = save(o, r->start, r->end, PE_PRESENT);
	else if (opts.lazy_pages)
		ret = leave(o, r->start, r->end, leave_in_task);
	else
		ret = save(o, r->start, r->end, PE_LAZY | PE_PRESENT);
	return ret ? 1 : 0; /* a positive result ends the scan */
}

/* Opens what is needed to let the task write. A task at its limit of open files is read from outside. */
static void open_channel(struct pages_out *o)
{
	struct puppet *p = leader(o->t)->puppet;
	int fd = sink_fd(&o->sink);

	o->remote_fd = -1;
	if (!sink_raw(&o->sink)) /* to be encrypted: criu reads the task and writes for it */
		return;
	if (fd_channel_open(p, &o->channel))
		return;
	if (fd_channel_send(p, &o->channel, &fd, 1, &o->remote_fd))
		o->remote_fd = -1;
}

static void close_channel(struct pages_out *o)
{
	struct puppet *p = leader(o->t)->puppet;

	if (o->remote_fd >= 0)
		puppet_call(p, __NR_close, o->remote_fd);
	if (sink_raw(&o->sink))
		fd_channel_close(p, &o->channel);
}

/* Areas that are tracked, or will be from now on, are asked what was written to them. */
static int scan_vma(struct pages_out *o, const struct vma *v, int pagemap)
{
	bool begin = v->registered && o->op->follow;

	if (v->tracked || begin)
		return scan_tracked_pages(pagemap, v->e.start, v->e.end, begin, add_region, o);
	return scan_private_pages(pagemap, v->e.start, v->e.end, v->e.status & VMA_ANON_PRIVATE,
				  add_region, o);
}

static int scan_vmas(struct pages_out *o, int pagemap)
{
	for (size_t i = 0; i < o->t->nr_vmas; i++) {
		const struct vma *v = &o->t->vmas[i];
		struct scan_region whole = { v->e.start, v->e.end, 0 };

		if (!vma_private(v) || (v->e.status & (VMA_VVAR | VMA_VSYSCALL | VMA_UPROBES)))
			continue;
		o->vma = v;
		/* the vDSO is saved whole: where the destination's differs, its code is needed */
		if (v->e.status & VMA_VDSO) {
			if (add_region(&whole, o))
				return -1;
		} else if (scan_vma(o, v, pagemap)) {
			return -1;
		}
	}
	return flush(o);
}

int pages_dump(struct op *op, struct task *t)
{
	struct pages_out *o = xzalloc(sizeof(*o));
	cleanup_close int pagemap = openat(t->proc, "pagemap", O_RDONLY | O_CLOEXEC);
	cleanup_close int mem = openat(t->proc, "mem", O_RDONLY | O_CLOEXEC);
	uint64_t start = now_us();
	int ret = -1;

	if (!o)
		return -1;
	if (pagemap < 0 || mem < 0) {
		pr_perror("Can't open /proc/%d/%s", t->pid, pagemap < 0 ? "pagemap" : "mem");
		goto out;
	}
	o->op = op;
	o->t = t;
	o->mem = mem;
	if (sink_open(&o->sink, op->images, IMG_PAGEMAP, t->vpid))
		goto out;
	if (sink_check_parent(&o->sink, op->images, t->vpid, t->tracked)) {
		sink_close(&o->sink);
		goto out;
	}
	open_channel(o);
	ret = opts.lazy_pages && eager_find(t, &o->eager) ? -1 : scan_vmas(o, pagemap);
	if (!ret && op->follow)
		ret = track_begin_soft_dirty(t);
	close_channel(o);
	ret |= huge_save(&o->huge, op->images, t->vpid);
	huge_free(&o->huge);
	free(o->eager.pages);
	ret |= sink_close(&o->sink);
	op->stats.memwrite_us += now_us() - start;
out:
	free(o);
	return ret;
}
