// SPDX-License-Identifier: GPL-2.0-only
/* lazy-pages: the daemon that fills the memory of restored tasks. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lazy/deadman.h"
#include "lazy/handover.h"
#include "lazy/lazyd.h"
#include "lazy/progress.h"
#include "lazy/ready.h"
#include "lazy/report.h"
#include "lazy/supervise.h"
#include "mem/pagemap.h"
#include "op.h"
#include "stories.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

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

void unwatch(struct lazyd *d, int *fd)
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
	collapse_later(d, sp);
	journal_end(d->j, sp->uffd);
	unwatch(d, &sp->uffd);
	d->nr_left -= sp->nr_left;
	d->st.gone += sp->nr_left;
	d->nr_spaces--;
	d->dead_spaces = d->changed = true;
}

/* An object that no space wants any more: the source need not send it. */
static void unwant_object(struct lazyd *d, struct object *obj)
{
	for (size_t i = 0; i < obj->nr_runs; i++)
		remote_unwant(d, obj, lazy_run_start(&obj->runs[i]), lazy_run_pages(&obj->runs[i]));
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
		return LAZY_STAGE("accept", restore_accept(d));
	case WATCH_RESTORE:
		return restore_message(d);
	case WATCH_SIGNALS:
		return on_signal(d);
	case WATCH_SPACE: /* it may have ended earlier in this round */
		return sp->uffd < 0 || events_read(d, sp) >= 0 ? 0 : -1;
	case WATCH_URGENT:
		return remote_urgent(d);
	case WATCH_BULK: /* after the faults have been answered */
		*bulk = true;
		return 0;
	}
	return 0;
}

static bool everything_done(struct lazyd *d)
{
	return d->finished && d->j->released && !d->nr_spaces && !(d->remote && remote_waiting(d));
}

/* A part of what nobody waits for. 1: there may be more, 0: not now, -1 logged */
static int background(struct lazyd *d, bool bulk)
{
	int here, there;

	if (!d->finished)
		return 0;
	here = local_background(d);
	if (here < 0 || !d->remote || !bulk || !remote_has_bulk(d))
		return here;
	there = remote_bulk(d);
	return there < 0 ? -1 : here | there;
}

/* 1: there is more to do at once, 0: wait for something, -1 logged */
static int round_trip(struct lazyd *d, bool wait, bool bulk)
{
	struct epoll_event ev[32];
	int ms = !wait ? 0 : d->unsettled ? 1 : progress_wait_ms();
	int n = epoll_wait(d->epoll, ev, ARRAY_SIZE(ev), ms), ret, huge;

	if (n < 0 && errno != EINTR) {
		pr_perror("epoll_wait");
		return -1;
	}
	for (int i = 0; i < n; i++)
		if (dispatch(d, &ev[i], &bulk))
			return -1;
	if (faults_answer(d) || settle_spaces(d))
		return -1;
	if (d->committed && !d->finished && LAZY_STAGE("answer", restore_answer(d)))
		return -1;
	ret = background(d, bulk);
	huge = ret < 0 ? 0 : hugetlb_turn(d);
	d->j->nr_left = d->nr_left;
	stats_show(d);
	progress_draw(d);
	if (d->dead_spaces)
		free_dead_spaces(d);
	return ret < 0 || huge < 0 ? -1 : ret || huge || d->nr_faults;
}

static int loop(struct lazyd *d)
{
	int more = 0;

	while (more >= 0 && !everything_done(d))
		more = round_trip(d, !more, more);
	return more < 0 ? -1 : 0;
}

static int lazyd_start(struct lazyd *d)
{
	*d = (struct lazyd){ .epoll = -1, .listener = -1, .restore = -1, .signals = -1 };
	TAILQ_INIT(&d->objects);
	TAILQ_INIT(&d->prepared);
	TAILQ_INIT(&d->collapses);
	d->j = journal_new();
	d->buf = aligned_alloc(PAGE_SIZE, SLICE);
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (report_init() || stats_init(&d->st))
		return -1;
	if (!d->j || !d->buf || d->epoll < 0) {
		pr_perror("Can't start");
		return -1;
	}
	d->j->epoll = d->epoll;
	/* before a server is asked: that another client comes and goes would end a migration that is under way */
	return lazy_alone(dirs.work);
}

static int lazyd_listen(struct lazyd *d)
{
	d->listener = lazy_listen(dirs.work);
	return d->listener < 0 ? -1 : watch(d, d->listener, WATCH_LISTENER, NULL);
}

static int lazyd_ready(struct lazyd *d)
{
	if (server_daemonize())
		return -1;
	deadman_reserve();
	progress_init(d->st.history);
	d->signals = server_signals();
	if (d->signals < 0)
		return -1;
	return server_ready();
}

/* What all workers have in common: made before the first one, and before anybody is told that the daemon is ready. */
static int lazyd_open(struct lazyd *d)
{
	if (LAZY_STAGE("start", lazyd_start(d)))
		return -1;
	if (opts.page_server && LAZY_STAGE("connect", remote_connect(d)))
		return -1;
	return LAZY_STAGE("listen", lazyd_listen(d)) || LAZY_STAGE("ready", lazyd_ready(d));
}

/* A worker that is not the first: closes what the dead one had open for itself, takes over what counts. */
static int take_over(struct lazyd *d)
{
	close_safe(&d->j->epoll);
	close_safe(&d->j->urgent);
	close_safe(&d->j->bulk);
	d->remote = NULL; /* main's copy of the first connection */
	d->epoll = -1;
	if (restore_take_over(d))
		return -1;
	if (opts.page_server && remote_connect(d))
		return -1;
	if (d->finished)
		return restore_answer(d);
	if (!d->j->asked)
		return 0;
	/* the dead one may have told the source, or not: it answers again */
	if (d->remote)
		return remote_commit(d);
	d->committed = true;
	return 0;
}

/* The table of descriptors is not this process's alone: they would stay open, and a server that is looked for takes hundreds of workers. */
static void close_images(struct lazyd *d)
{
	struct object_list *lists[] = { &d->objects, &d->prepared };
	struct object *obj;

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		TAILQ_FOREACH (obj, lists[i], link) {
			pagemap_close(obj->pm);
			obj->pm = NULL;
		}
}

static int work(struct lazyd *d, bool again)
{
	int ret = 0;

	stats_take_over(d);
	thread_takes_turns();
	if (again) {
		unsetenv("CRIU_FAULT"); /* has been, and whoever comes after it shall manage */
		ret = take_over(d);
	} else {
		ret = restore_prepare(d);
	}
	/* an epoll hears only the signals of the process that has put the signalfd into it */
	if (!ret)
		ret = watch(d, d->signals, WATCH_SIGNALS, NULL);
	d->j->connected = !ret && !d->remote; /* a server is there when it has sent something */
	if (!ret)
		ret = loop(d);
	if (!ret && !again)
		fault_kill("complete");
	if (!ret) {
		d->st.end_ns = now_ns();
		stats_show(d);
	}
	progress_clear();
	if (opts.display_stats && !ret)
		stats_print(d);
	close_images(d);
	d->j->complete |= !ret; /* whatever becomes of the farewell */
	if (!ret) {
		if (LAZY_STAGE("close", remote_close(d, false)))
			return WORKER_LOST;
		collapse_all(d);
		return WORKER_DONE;
	}
	if (d->j->asked) { /* the tasks run, or may: the next worker tries again */
		remote_drop(d);
		return WORKER_LOST;
	}
	remote_close(d, true);
	return WORKER_FAILED;
}

int cmd_lazy_pages(void)
{
	struct lazyd d = { .listener = -1 };
	int status;

	if (opts.resume)
		return supervise_resume();
	status = lazyd_open(&d) ? 1 : supervise(&d, work);
	if (d.listener >= 0)
		unlinkat(dirs.work, LAZY_SOCKET, 0);
	return status;
}
