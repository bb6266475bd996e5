// SPDX-License-Identifier: GPL-2.0-only
/* lazy-pages' side of the socket: restore hands its tasks over, and is told when they may run. */
#include <errno.h>
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lazy/handover.h"
#include "lazy/lazyd.h"
#include "lazy/uffd.h"
#include "mem/pagemap.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define RESTORE_STALL_S 10

static struct object *get_object(struct lazyd *d, uint64_t id)
{
	struct object *obj;
	struct pagemap *pm;

	TAILQ_FOREACH (obj, &d->objects, link)
		if (obj->id == id)
			return obj;
	errno = 0;
	pm = pagemap_open(dirs.images, IMG_PAGEMAP, id);
	if (!pm) {
		if (errno == ENOENT)
			pr_err("restore handed over task %" PRIu64
			       ", but there is no pagemap-%" PRIu64
			       ".img in the images directory: give lazy-pages the same -D",
			       id, id);
		return NULL;
	}
	if (pm->has_lazy && !d->remote) {
		pr_err("Pages of task %" PRIu64
		       " stayed on the host that was dumped: start lazy-pages with --page-server "
		       "--address --port",
		       id);
		pagemap_close(pm);
		return NULL;
	}
	obj = object_new(id, pm);
	if (obj)
		TAILQ_INSERT_TAIL(&d->objects, obj, link);
	return obj;
}

static int take_task(struct lazyd *d, int32_t pid)
{
	int uffd = recv_fd(d->restore, NULL);
	struct object *obj;
	struct space *sp;

	if (uffd < 0) {
		pr_perror("restore announced task %d, but its userfaultfd did not come", pid);
		return -1;
	}
	if (!uffd_is_one(uffd)) {
		pr_err("restore announced task %d, but what came is not a userfaultfd", pid);
		close(uffd);
		return -1;
	}
	set_nonblock(uffd, true);
	obj = get_object(d, pid);
	sp = obj ? space_new(obj, pid, uffd) : NULL;
	if (!sp) {
		close(uffd);
		return -1;
	}
	d->nr_spaces++;
	d->nr_left += sp->nr_left;
	pr_info("task %d: %" PRIu64 " pages to fill", pid, sp->nr_left);
	return watch(d, uffd, WATCH_SPACE, sp);
}

/* What was complete before the tasks ran is let go now. */
static void end_complete_spaces(struct lazyd *d)
{
	struct object *obj;
	struct space *sp;

	TAILQ_FOREACH (obj, &d->objects, link)
		TAILQ_FOREACH (sp, &obj->spaces, link)
			if (!sp->nr_left)
				space_ended(d, sp);
}

/* The source has agreed: restore may let the tasks run. */
int restore_answer(struct lazyd *d)
{
	uint32_t word = LAZY_FINISHED;

	d->finished = true;
	d->st.finished_ns = now_ns();
	if (send(d->restore, &word, sizeof(word), MSG_NOSIGNAL) != sizeof(word)) {
		pr_perror("restore went away when its tasks were about to run");
		return -1;
	}
	unwatch(d, &d->restore);
	pr_info("restore is done: %" PRIu64 " pages to fill in %u tasks", d->nr_left, d->nr_spaces);
	end_complete_spaces(d);
	return d->remote ? remote_start(d) : 0;
}

int restore_message(struct lazyd *d)
{
	uint32_t word;
	ssize_t n = recv(d->restore, &word, sizeof(word), MSG_WAITALL);

	if (!n && TAILQ_EMPTY(&d->objects)) { /* only looked whether somebody is here */
		unwatch(d, &d->restore);
		return watch(d, d->listener, WATCH_LISTENER, NULL);
	}
	if (n != sizeof(word)) {
		pr_err("restore went away before it was done");
		return -1;
	}
	if (word != LAZY_FINISHED)
		return (int32_t)word < 0 ? 0 : take_task(d, word); /* negative: a zombie */
	if (d->remote)
		return remote_commit(d);
	d->committed = true;
	return 0;
}

int restore_accept(struct lazyd *d)
{
	struct timeval stall = { .tv_sec = RESTORE_STALL_S };

	d->restore = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC);
	if (d->restore < 0) {
		pr_perror("Can't accept a connection on " LAZY_SOCKET);
		return -1;
	}
	setsockopt(d->restore, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
	epoll_ctl(d->epoll, EPOLL_CTL_DEL, d->listener, NULL);
	return watch(d, d->restore, WATCH_RESTORE, NULL);
}
