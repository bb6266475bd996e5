// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/track.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "mem/mem.h"
#include "mem/scan.h"
#include "proc/proc.h"
#include "remote/fdpass.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/kernel.h"
#include "util/log.h"

/* linux/userfaultfd.h of 6.7; the headers may be older */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

bool track_by_uffd(void)
{
	return kernel_has(K_UFFD_WP_ASYNC) && kernel_has(K_PAGEMAP_SCAN);
}

int track_check(void)
{
	if (track_by_uffd() || kernel_has(K_SOFT_DIRTY))
		return 0;
	pr_err("This kernel cannot tell which pages a task writes: it lacks %s%s%s, and has no "
	       "soft-dirty bits (CONFIG_MEM_SOFT_DIRTY) either",
	       kernel_has(K_UFFD_WP_ASYNC) ? "" : kernel_features[K_UFFD_WP_ASYNC].what,
	       kernel_has(K_UFFD_WP_ASYNC) || kernel_has(K_PAGEMAP_SCAN) ? "" : " and ",
	       kernel_has(K_PAGEMAP_SCAN) ? "" : kernel_features[K_PAGEMAP_SCAN].what);
	return -1;
}

/* ---- areas ---- */

struct collect {
	struct task *t;
	size_t cap;
};

static int add_area(const struct proc_vma *pv, void *arg)
{
	struct collect *c = arg;
	struct task *t = c->t;
	struct vma *v;

	if (pv->shared || (*pv->path && strcmp(pv->path, "[heap]") &&
			   strncmp(pv->path, "[stack", 6) && strncmp(pv->path, "[anon:", 6)))
		return 0;
	if (xgrow(&t->vmas, &c->cap, t->nr_vmas, sizeof(*v)))
		return -1;
	v = &t->vmas[t->nr_vmas++];
	*v = (struct vma){ 0 };
	vma_entry__init(&v->e);
	v->e.start = pv->start;
	v->e.end = pv->end;
	v->e.prot = pv->prot;
	v->e.status = VMA_REGULAR | VMA_ANON_PRIVATE;
	return 0;
}

int track_collect(struct task *t)
{
	struct collect c = { t, 0 };

	return proc_read_maps(t->proc, "maps", add_area, &c);
}

/* ---- the descriptor ---- */

static int agree_api(int uffd)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED |
					      UFFD_FEATURE_PAGEFAULT_FLAG_WP };

	return ioctl(uffd, UFFDIO_API, &api);
}

int track_make(struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	int flags = O_CLOEXEC | O_NONBLOCK;
	long fd = puppet_call(p, __NR_userfaultfd, flags);

	/* faults of the kernel itself never come to us: asynchronous protection is lifted without asking */
	if (fd == -EPERM)
		fd = puppet_call(p, __NR_userfaultfd, flags | UFFD_USER_MODE_ONLY);
	if (fd == -EIO)
		return -1;
	if (fd < 0) {
		pr_warn("Task %d can't make a userfaultfd (%s): what it writes is not tracked, "
			"each "
			"dump holds all of its memory",
			t->pid, strerror(-fd));
		return 0;
	}
	t->uffd = fd_steal(t->pid, fd);
	if (t->uffd < 0)
		pr_perror("Can't take the userfaultfd out of task %d (pidfd_getfd)", t->pid);
	puppet_call(p, __NR_close, fd);
	if (t->uffd < 0)
		return -1;
	if (agree_api(t->uffd)) {
		pr_perror("Task %d: userfaultfd: asynchronous write protection", t->pid);
		return -1;
	}
	return 0;
}

int track_forget_stale(struct task *t)
{
	cleanup_close int pagemap = -1;

	if (t->uffd < 0)
		return 0;
	pagemap = openat(t->proc, "pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0) {
		pr_perror("Can't open /proc/%d/pagemap", t->pid);
		return -1;
	}
	for (size_t i = 0; i < t->nr_vmas; i++)
		if (vma_lazy(&t->vmas[i]) && scan_is_tracked(pagemap, t->vmas[i].e.start))
			return 0;
	close_safe(&t->uffd);
	t->tracked = false;
	return 0;
}

/* 0; 1: it belongs to another userfaultfd; -1 with errno. Once more for what is registered already does nothing. */
static int register_area(int uffd, const struct vma *v)
{
	struct uffdio_register r = { .range = { v->e.start, v->e.end - v->e.start },
				     .mode = UFFDIO_REGISTER_MODE_WP };

	if (!ioctl(uffd, UFFDIO_REGISTER, &r))
		return 0;
	return errno == EBUSY ? 1 : -1;
}

/*
 * A descriptor that survived an exec belongs to an address space that is gone, and one of a vfork()ed task to another's: with
 * it nothing of this task's can be registered.
 */
static int track_area(struct task *t, struct vma *v, int pagemap, bool begin)
{
	bool before = scan_is_tracked(pagemap, v->e.start);
	int ret;

	v->tracked = false;
	if (!before && !begin)
		return 0;
	ret = t->uffd < 0 ? before : register_area(t->uffd, v);
	if (ret < 0) {
		pr_debug("Task %d: can't track the area at %#lx: %s", t->pid, v->e.start,
			 strerror(errno));
		return 0;
	}
	v->uffd_foreign = ret;
	if (!ret && scan_is_tracked(pagemap, v->e.start)) {
		v->registered = true;
		v->tracked = before && t->tracked;
	}
	return 0;
}

int track_areas(struct task *t, int pagemap, bool begin)
{
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i];

		/* hugetlb memory is in no pre-dump */
		if (!vma_lazy(v) || hugetlb(v->e.flags))
			continue;
		if (track_by_uffd()) {
			if (track_area(t, v, pagemap, begin))
				return -1;
		} else {
			v->tracked = t->tracked;
			v->registered = true;
		}
	}
	return 0;
}

int track_begin_soft_dirty(struct task *t)
{
	cleanup_close int fd = -1;

	if (track_by_uffd())
		return 0;
	fd = openat(t->proc, "clear_refs", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "4", 1) == 1)
		return 0;
	pr_perror("Can't clear the soft-dirty bits of task %d", t->pid);
	return -1;
}

void track_unprotect(struct task *t, uint64_t addr, uint64_t nr_pages)
{
	struct uffdio_writeprotect wp = { .range = { addr, nr_pages * PAGE_SIZE } };

	/* fails where the area is gone: what comes there is new, and counts as written */
	if (t->uffd >= 0)
		ioctl(t->uffd, UFFDIO_WRITEPROTECT, &wp);
}

int track_protect_stale(struct task *t, uint64_t addr, uint64_t nr_pages)
{
	struct uffdio_writeprotect wp = { .range = { addr, nr_pages * PAGE_SIZE },
					  .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	while (t->uffd >= 0 && ioctl(t->uffd, UFFDIO_WRITEPROTECT, &wp)) {
		if (errno == EINTR || errno == EAGAIN)
			continue;
		pr_perror("Task %d: can't write-protect %#" PRIx64 ", %" PRIu64 " pages", t->pid,
			  addr, nr_pages);
		return -1;
	}
	return 0;
}
