// SPDX-License-Identifier: GPL-2.0-only
/* lazy-pages: the daemon that fills the memory of restored tasks. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lazy/handover.h"
#include "lazy/lazyd.h"
#include "lazy/ready.h"
#include "lazy/uffd.h"
#include "mem/pagemap.h"
#include "net/wire.h"
#include "stories.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define RESTORE_STALL_S 10

int watch(struct lazyd *d, int fd, enum watch_kind kind, struct space *sp)
{
	struct epoll_event ev = { .events = EPOLLIN };

	/* a space's address never has its low three bits set */
	ev.data.u64 = (uintptr_t)sp | kind;
	if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev)) {
		pr_perror("Can't watch descriptor %d", fd);
		return -1;
	}
	return 0;
}

static void unwatch(struct lazyd *d, int *fd)
{
	if (*fd < 0)
		return;
	/* somebody else may hold the same description: closing alone would not take it out */
	epoll_ctl(d->epoll, EPOLL_CTL_DEL, *fd, NULL);
	close_safe(fd);
}

void space_ended(struct lazyd *d, struct space *sp)
{
	if (sp->uffd < 0)
		return;
	pr_debug("task %d%s: %s", sp->pid, sp->child ? " (forked)" : "",
		 sp->nr_left ? "its address space has ended" : "complete");
	unwatch(d, &sp->uffd);
	d->nr_left -= sp->nr_left;
	d->st.gone += sp->nr_left;
	d->nr_spaces--;
	d->dead_spaces = true;
}

/* An object that no space wants any more: the source need not send it. */
static void unwant_object(struct lazyd *d, struct object *obj)
{
	for (size_t i = 0; i < obj->nr_runs; i++)
		remote_unwant(d, obj, obj->runs[i].start, obj->runs[i].nr_pages);
}

static void free_dead_spaces(struct lazyd *d)
{
	struct object *obj;
	struct space *sp, *next;
	size_t kept = 0;

	for (size_t i = 0; i < d->nr_faults; i++)
		if (d->faults[i].sp->uffd >= 0)
			d->faults[kept++] = d->faults[i];
	d->nr_faults = kept;
	TAILQ_FOREACH (obj, &d->objects, link) {
		bool left = false, had = !TAILQ_EMPTY(&obj->spaces);

		for (sp = TAILQ_FIRST(&obj->spaces); sp; sp = next) {
			next = TAILQ_NEXT(sp, link);
			if (sp->uffd >= 0)
				continue;
			left |= sp->nr_left;
			space_free(sp);
		}
		if (had && left && TAILQ_EMPTY(&obj->spaces) && d->remote)
			unwant_object(d, obj);
	}
	d->dead_spaces = false;
}

/* ---- restore's hand-over ---- */

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
static int answer_restore(struct lazyd *d)
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

static int restore_message(struct lazyd *d)
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

static int accept_restore(struct lazyd *d)
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

/* ---- the loop ---- */

static int on_signal(struct lazyd *d)
{
	struct signalfd_siginfo si;

	if (read(d->signals, &si, sizeof(si)) != sizeof(si))
		return 0;
	if (d->finished && d->nr_left) {
		pr_warn("%s: going on, since without the %" PRIu64
			" pages that are missing the tasks would go wrong. Kill the tasks first",
			strsignal(si.ssi_signo), d->nr_left);
		return 0;
	}
	pr_err("Ended by a signal (%s)", strsignal(si.ssi_signo));
	return -1;
}

static int dispatch(struct lazyd *d, const struct epoll_event *ev, bool *bulk)
{
	struct space *sp = (struct space *)(uintptr_t)(ev->data.u64 & ~7ULL);

	switch ((enum watch_kind)(ev->data.u64 & 7)) {
	case WATCH_LISTENER:
		return accept_restore(d);
	case WATCH_RESTORE:
		return restore_message(d);
	case WATCH_SIGNALS:
		return on_signal(d);
	case WATCH_SPACE:
		return sp->uffd < 0 || events_read(d, sp) >= 0 ? 0 : -1;
	case WATCH_URGENT:
		return remote_urgent(d);
	case WATCH_BULK:
		*bulk = true; /* when the faults have been answered */
		return 0;
	}
	return 0;
}

static bool everything_done(const struct lazyd *d)
{
	return d->finished && !d->nr_spaces && !(d->remote && remote_waiting((struct lazyd *)d));
}

static int round_trip(struct lazyd *d)
{
	struct epoll_event ev[32];
	bool busy = d->nr_faults || (!d->remote && d->finished && d->nr_left), bulk = false;
	int n = epoll_wait(d->epoll, ev, ARRAY_SIZE(ev), busy ? 0 : -1);

	if (n < 0 && errno != EINTR) {
		pr_perror("epoll_wait");
		return -1;
	}
	for (int i = 0; i < n; i++)
		if (dispatch(d, &ev[i], &bulk))
			return -1;
	if (faults_answer(d))
		return -1;
	if (d->committed && !d->finished && answer_restore(d))
		return -1;
	if (bulk && remote_bulk(d))
		return -1;
	if (!d->remote && d->finished && d->nr_left && local_background(d) < 0)
		return -1;
	if (d->dead_spaces)
		free_dead_spaces(d);
	return 0;
}

static int lazyd_init(struct lazyd *d)
{
	*d = (struct lazyd){ .epoll = -1, .listener = -1, .restore = -1, .signals = -1 };
	TAILQ_INIT(&d->objects);
	d->st.start_ns = now_ns();
	d->buf = aligned_alloc(PAGE_SIZE, SLICE);
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!d->buf || d->epoll < 0) {
		pr_perror("Can't start");
		return -1;
	}
	if (opts.page_server && remote_connect(d))
		return -1;
	d->listener = lazy_listen(dirs.work);
	if (d->listener < 0 || watch(d, d->listener, WATCH_LISTENER, NULL))
		return -1;
	if (server_daemonize())
		return -1;
	d->signals = server_signals();
	if (d->signals < 0 || watch(d, d->signals, WATCH_SIGNALS, NULL))
		return -1;
	return server_ready();
}

static void lazyd_end(struct lazyd *d)
{
	struct object *obj;

	while ((obj = TAILQ_FIRST(&d->objects))) {
		TAILQ_REMOVE(&d->objects, obj, link);
		object_free(obj);
	}
	if (d->listener >= 0)
		unlinkat(dirs.work, LAZY_SOCKET, 0);
	close_safe(&d->listener);
	close_safe(&d->restore);
	close_safe(&d->signals);
	close_safe(&d->epoll);
	free(d->faults);
	free(d->buf);
	free(d->st.latency_ns);
}

int cmd_lazy_pages(void)
{
	struct lazyd d;
	int ret = lazyd_init(&d);

	while (!ret && !everything_done(&d))
		ret = round_trip(&d);
	if (remote_close(&d, ret))
		ret = -1;
	if (opts.display_stats)
		stats_print(&d);
	lazyd_end(&d);
	return ret ? 1 : 0;
}
