// SPDX-License-Identifier: GPL-2.0-only
/* The restore's side of lazy pages: the userfaultfd of each task, registered where pages are missing, handed to the daemon. */
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "lazy/handover.h"
#include "lazy/uffd.h"
#include "mem/mem.h"
#include "mem/pagemap.h"
#include "remote/fdpass.h"
#include "remote/puppet.h"
#include "util/log.h"

static int make_uffd(struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	long fd;

	fd = puppet_call(p, __NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		errno = -fd;
		pr_perror("Task %d: userfaultfd", t->vpid);
		return -1;
	}
	t->uffd = fd_steal(t->pid, fd);
	if (t->uffd < 0) {
		pr_perror("Can't take the userfaultfd out of task %d", t->vpid);
		return -1;
	}
	puppet_call(p, __NR_close, fd);
	return uffd_api(t->uffd, false);
}

/* Has the area pages that the daemon brings: in a lazy run of this directory's pagemap, or in parent images? */
static bool has_lazy(struct task *t, const struct vma *v)
{
	if (!vma_lazy(v) || !t->pages)
		return false;
	for (size_t i = pagemap_find(t->pages, v->e.start);
	     i < t->pages->nr && t->pages->runs[i].start < v->e.end; i++)
		if (t->pages->runs[i].flags & (PE_LAZY | PE_PARENT))
			return true;
	return false;
}

int lazy_register(struct op *op, struct task *t)
{
	if (!opts.lazy_pages)
		return 0;
	if (make_uffd(t))
		return -1;
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i];

		if (has_lazy(t, v) && uffd_register(t->uffd, v->e.start, v->e.end - v->e.start))
			return -1;
	}
	return 0;
}

int lazy_hand_over(struct op *op, struct task *t, int sock)
{
	if (lazy_send_task(sock, t->vpid, t->pid, t->uffd,
			   t->state == TASK_STOPPED || opts.leave_stopped))
		return -1;
	close_safe(&t->uffd);
	return 0;
}
