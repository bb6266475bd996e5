// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mem/mem.h"
#include "remote/fdpass.h"
#include "remote/puppet.h"
#include "util/log.h"

#define JOB_MAX (2UL << 20)

int bulk_add(struct bulk *b, uint64_t dst, int fd, uint64_t off, uint64_t len)
{
	b->len += len;
	while (len) {
		uint64_t part = min(len, JOB_MAX);

		if (xgrow(&b->jobs, &b->cap, b->nr, sizeof(*b->jobs)))
			return -1;
		b->jobs[b->nr++] =
			(struct bulk_job){ .dst = dst, .off = off, .len = part, .fd = fd };
		dst += part;
		off += part;
		len -= part;
	}
	return 0;
}

void bulk_free(struct bulk *b)
{
	free(b->jobs);
	*b = (struct bulk){ 0 };
}

struct workers {
	struct bulk *b;
	struct task *t;
	int uffd;
	atomic_size_t next;
	atomic_int failed;
};

static int copy(struct workers *w, const struct bulk_job *j)
{
	void *src = mmap(NULL, j->len, PROT_READ, MAP_SHARED | MAP_POPULATE, j->fd, j->off);
	uint64_t done = 0;
	int ret = 0;

	if (src == MAP_FAILED) {
		pr_perror("Can't map %lu bytes of an image of pages", j->len);
		return -1;
	}
	while (done < j->len) {
		struct uffdio_copy c = {
			.dst = j->dst + done,
			.src = (uint64_t)src + done,
			.len = j->len - done,
		};

		if (ioctl(w->uffd, UFFDIO_COPY, &c) &&
		    (c.copy <= 0 || (errno != EAGAIN && errno != EINTR))) {
			pr_perror("Can't copy pages to %#lx of task %d", j->dst + done, w->t->vpid);
			ret = -1;
			break;
		}
		done += c.copy;
	}
	munmap(src, j->len);
	return ret;
}

static void *worker(void *arg)
{
	struct workers *w = arg;
	size_t i;

	while (!w->failed && (i = w->next++) < w->b->nr)
		if (copy(w, &w->b->jobs[i]))
			w->failed = 1;
	return NULL;
}

/* A userfaultfd of the puppet's memory, with the areas of the jobs registered. */
static int open_uffd(struct bulk *b, struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	struct uffdio_api api = { .api = UFFD_API };
	long fd = puppet_call(p, __NR_userfaultfd, O_CLOEXEC);
	cleanup_close int uffd = fd < 0 ? -1 : fd_steal(t->pid, fd);
	size_t k = 0;

	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	puppet_call(p, __NR_close, fd);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		return -1;
	for (size_t i = 0; i < t->nr_vmas; i++) {
		struct vma *v = &t->vmas[i];
		struct uffdio_register r = {
			.range = { v->e.start, v->e.end - v->e.start },
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};

		while (k < b->nr && b->jobs[k].dst < v->e.start)
			k++;
		if (k < b->nr && b->jobs[k].dst < v->e.end && ioctl(uffd, UFFDIO_REGISTER, &r))
			return -1;
	}
	return move_fd(uffd);
}

int bulk_run(struct bulk *b, struct task *t)
{
	struct workers w = { .b = b, .t = t, .uffd = open_uffd(b, t) };
	pthread_t second;
	bool threaded;

	if (w.uffd < 0) {
		pr_perror("Can't make a userfaultfd to fill task %d", t->vpid);
		return -1;
	}
	puppet_unfollow();
	threaded = !pthread_create(&second, NULL, worker, &w);
	worker(&w);
	if (threaded)
		pthread_join(second, NULL);
	close(w.uffd);
	return w.failed ? -1 : 0;
}
