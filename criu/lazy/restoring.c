// SPDX-License-Identifier: GPL-2.0-only
/* lazy-pages' side of the socket: restore hands its tasks over, and is told when they may run. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/files.h"
#include "image/image.h"
#include "lazy/deadman.h"
#include "lazy/handover.h"
#include "lazy/lazyd.h"
#include "lazy/uffd.h"
#include "mem/pagemap.h"
#include "pstree.pb-c.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define RESTORE_STALL_S 10
#define LOWEST_ADDRESS	0x10000ULL
#define HIGHEST_ADDRESS 0x7ffffffff000ULL

static struct object *find_object(struct object_list *list, uint64_t id)
{
	struct object *obj;

	TAILQ_FOREACH (obj, list, link)
		if (obj->id == id)
			return obj;
	return NULL;
}

/* errno ENOENT: there is no such image, nothing is logged. Else NULL is logged. */
static struct object *open_object(uint64_t id)
{
	struct object *obj;
	struct pagemap *pm;

	errno = 0;
	pm = pagemap_open(dirs.images, IMG_PAGEMAP, id);
	if (!pm)
		return NULL;
	if (pm->has_lazy && !opts.page_server) {
		pr_err("Pages of task %" PRIu64
		       " stayed on the host that was dumped: start lazy-pages with --page-server "
		       "--address --port",
		       id);
		pagemap_close(pm);
		errno = EINVAL;
		return NULL;
	}
	obj = object_new(id, pm);
	if (obj && (huge_load(&obj->huge, dirs.images, id) ||
		    hugetlb_load(&obj->hugetlb, dirs.images, id))) {
		object_free(obj);
		errno = EINVAL;
		return NULL;
	}
	return obj;
}

static struct object *get_object(struct lazyd *d, uint64_t id)
{
	struct object *obj = find_object(&d->objects, id);

	if (obj)
		return obj;
	obj = find_object(&d->prepared, id);
	if (obj)
		TAILQ_REMOVE(&d->prepared, obj, link);
	else
		obj = open_object(id);
	if (obj) {
		TAILQ_INSERT_TAIL(&d->objects, obj, link);
		d->has_hugetlb |= obj->hugetlb.nr;
	} else if (errno == ENOENT)
		pr_err("restore handed over task %" PRIu64 ", but there is no pagemap-%" PRIu64
		       ".img in the images directory: give lazy-pages the same -D",
		       id, id);
	return obj;
}

int restore_prepare(struct lazyd *d)
{
	cleanup_image struct image *img = image_open(dirs.images, IMG_PSTREE, 0, false);
	PstreeEntry *e;
	int ret = 0;

	while (img && !ret && (ret = image_read_as(img, &e)) > 0) {
		struct object *obj = open_object(e->pid);

		/* a zombie has none */
		ret = !obj && errno != ENOENT ? -1 : 0;
		if (obj)
			TAILQ_INSERT_TAIL(&d->prepared, obj, link);
		pstree_entry__free_unpacked(e, NULL);
	}
	return ret;
}

/* The userfaultfd, and a pidfd where the other side is a restore of ours (else -1). *FLAGS: LAZY_STOPPED */
static int recv_task_fds(int sock, int fds[2], char *flags)
{
	char ctl[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec iov = { flags, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *c;
	ssize_t n;

	fds[0] = fds[1] = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(sizeof(int))) {
		errno = n < 0 ? errno : EPROTO;
		return -1;
	}
	memcpy(fds, CMSG_DATA(c), min(c->cmsg_len - CMSG_LEN(0), 2 * sizeof(int)));
	return 0;
}

static struct space *add_task(struct lazyd *d, int32_t pid, int uffd, int pidfd)
{
	struct object *obj = get_object(d, pid);
	struct space *sp = obj ? space_new(obj, pid, uffd) : NULL;

	if (!sp)
		return NULL;
	sp->pidfd = pidfd;
	d->nr_spaces++;
	d->nr_left += sp->nr_left;
	stats_task(d, obj, sp->nr_left);
	pr_info("task %d: %" PRIu64 " pages to fill", pid, sp->nr_left);
	return sp;
}

static int take_task(struct lazyd *d, int32_t pid)
{
	struct space *sp;
	char flags;
	int fds[2];

	if (recv_task_fds(d->restore, fds, &flags)) {
		pr_perror("restore announced task %d, but its userfaultfd did not come", pid);
		return -1;
	}
	if (!uffd_is_one(fds[0])) {
		pr_err("restore announced task %d, but what came is not a userfaultfd", pid);
		close(fds[0]);
		close_safe(&fds[1]);
		return -1;
	}
	if (fds[1] >= 0 && syscall(SYS_pidfd_send_signal, fds[1], 0, NULL, 0) && errno == EBADF)
		close_safe(&fds[1]); /* not a pidfd */
	set_nonblock(fds[0], true);
	sp = add_task(d, pid, fds[0], fds[1]);
	if (!sp) {
		close(fds[0]);
		close_safe(&fds[1]);
		return -1;
	}
	d->j->ours |= fds[1] >= 0;
	journal_task(d->j, fds[0], pid, fds[1], flags & LAZY_STOPPED);
	return watch(d, fds[0], WATCH_SPACE, sp);
}

/* ---- what a dead worker left ---- */

static struct space *space_by_fd(struct lazyd *d, int uffd)
{
	struct object *obj;
	struct space *sp;

	TAILQ_FOREACH (obj, &d->objects, link)
		TAILQ_FOREACH (sp, &obj->spaces, link)
			if (sp->uffd == uffd)
				return sp;
	return NULL;
}

static int replay(const struct journal_event *e, void *arg)
{
	struct lazyd *d = arg;
	struct space *sp = e->kind == JOURNAL_TASK ? NULL : space_by_fd(d, e->uffd);

	switch (e->kind) {
	case JOURNAL_TASK:
		return add_task(d, e->pid, e->uffd, e->pidfd) ? 0 : -1;
	case JOURNAL_END:
		if (sp) {
			d->nr_spaces--;
			d->nr_left -= sp->nr_left;
			sp->uffd = -1; /* closed, and perhaps something else by now */
			space_free(sp);
		}
		return 0;
	case JOURNAL_MESSAGE:
		return sp ? mapping_changed(d, sp, e->msg) : 0;
	case JOURNAL_QUIET:
		if (sp)
			settled(d, sp);
		return 0;
	}
	return -1;
}

int restore_replay(struct lazyd *d)
{
	return journal_replay(d->j, replay, d);
}

/* What was complete before the tasks ran, or before this worker, is let go. */
static void end_complete_spaces(struct lazyd *d)
{
	struct object *obj;
	struct space *sp;

	TAILQ_FOREACH (obj, &d->objects, link)
		TAILQ_FOREACH (sp, &obj->spaces, link)
			if (!sp->nr_left)
				space_ended(d, sp);
}

static int last_ended(const struct journal_event *e, void *arg)
{
	if (e->kind == JOURNAL_END)
		*(int *)arg = e->uffd;
	return 0;
}

/*
 * The dead one may not have come to close what it had written down as ended. Nobody would read its messages: the task would wait for ever when it changes its
 * mappings.
 */
static void close_last_ended(struct lazyd *d)
{
	int uffd = -1;

	journal_replay(d->j, last_ended, &uffd);
	if (uffd >= 0 && !space_by_fd(d, uffd) && uffd_is_one(uffd))
		close(uffd);
}

int restore_take_over(struct lazyd *d)
{
	struct object *obj;
	struct space *sp;

	if (restore_replay(d))
		return -1;
	close_last_ended(d);
	d->finished = d->j->finished;
	d->committed = d->finished;
	d->restore = d->j->restore;
	pr_info("%" PRIu64 " pages of %u tasks may be missing", d->nr_left, d->nr_spaces);
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll < 0) {
		pr_perror("Can't make an epoll");
		return -1;
	}
	d->j->epoll = d->epoll;
	TAILQ_FOREACH (obj, &d->objects, link)
		TAILQ_FOREACH (sp, &obj->spaces, link) {
			if (watch(d, sp->uffd, WATCH_SPACE, sp))
				return -1;
			/* whoever asked the dead one asks again */
			uffd_wake(sp->uffd, LOWEST_ADDRESS, HIGHEST_ADDRESS - LOWEST_ADDRESS);
		}
	if (d->finished)
		end_complete_spaces(d);
	if (d->restore >= 0)
		return watch(d, d->restore, WATCH_RESTORE, NULL);
	return d->j->asked ? 0 : watch(d, d->listener, WATCH_LISTENER, NULL);
}

/* restore is through, or we are in its place. */
static void released(struct lazyd *d)
{
	d->j->released = true;
	d->j->restore = -1;
	unwatch(d, &d->restore);
}

/*
 * restore was killed between the source's word and the last task that it let go: the kernel has stopped those that it had not (remote/hold.h). To the others
 * SIGCONT means nothing, or close to it. Their connections first, as restore does it.
 */
static void release(struct lazyd *d)
{
	cleanup_free int *pidfds = NULL;
	pid_t root_id;
	size_t nr;

	pr_warn("restore was killed before it had let its tasks go: they are let go from here");
	pidfds = journal_pidfds(d->j, &nr, &root_id);
	tcp_adopt_orphans(dirs.images, root_id, pidfds, nr);
	journal_signal_tasks(d->j, SIGCONT);
	released(d);
}

/*
 * The source has agreed: restore may let the tasks run. It is written down before restore hears it: a worker that dies in between is followed by one that says
 * it again.
 */
int restore_answer(struct lazyd *d)
{
	uint32_t words[] = { LAZY_FINISHED, LAZY_OURS };

	if (!d->finished) {
		d->finished = true;
		d->j->finished = true;
		d->st.finished_ns = now_ns();
		pr_info("restore is done: %" PRIu64 " pages to fill in %u tasks", d->nr_left,
			d->nr_spaces);
	}
	if (!d->j->released && d->restore < 0) {
		release(d);
	} else if (!d->j->released) {
		/* where it is gone, the end of its connection will say so */
		send_full(d->restore, words, d->j->ours ? sizeof(words) : sizeof(*words));
		if (!d->j->ours) /* it would not tell */
			released(d);
	}
	end_complete_spaces(d);
	return d->remote ? remote_start(d) : 0;
}

/* The connection has ended: what becomes of the tasks? */
static int restore_gone(struct lazyd *d)
{
	if (d->finished) {
		release(d);
		return 0;
	}
	if (d->j->asked) {
		pr_warn("restore was killed while the source was asked to give its tasks up");
		d->j->restore = -1;
		unwatch(d, &d->restore);
		return 0;
	}
	pr_err("restore went away before it was done");
	/* they die with it; but those that were in a job control stop were let go already */
	journal_signal_tasks(d->j, SIGKILL);
	return -1;
}

void restore_refuse(struct lazyd *d)
{
	uint32_t word = LAZY_REFUSED;

	send_full(d->j->restore, &word, sizeof(word));
	journal_signal_tasks(d->j, SIGKILL);
}

static int hear(struct lazyd *d)
{
	uint32_t word;
	ssize_t n = recv_full(d->restore, &word, sizeof(word), MSG_PEEK);
	bool part = n > 0 && n < (ssize_t)sizeof(word);

	if (part) /* peeking does not wait for the rest */
		n = recv_full(d->restore, &word, sizeof(word), 0);

	if (!n && TAILQ_EMPTY(&d->objects)) { /* only looked whether somebody is here */
		d->j->restore = -1;
		unwatch(d, &d->restore);
		return watch(d, d->listener, WATCH_LISTENER, NULL);
	}
	if (n != sizeof(word))
		return restore_gone(d);
	/* what is not taken is heard again by the next worker: it may do no harm twice */
	if (word == LAZY_FINISHED)
		d->j->asked = true;
	else if (word == LAZY_RELEASED)
		d->j->released = true;
	if (!part)
		recv_full(d->restore, &word, sizeof(word), 0);
	if (word == LAZY_RELEASED) {
		released(d);
		return 0;
	}
	if (word == LAZY_DEADMAN && d->finished)
		return deadman_take(d->restore);
	if (word == LAZY_FINISHED)
		pr_debug("restore has built everything: the source is asked");
	else
		return (int32_t)word < 0
			       ? 0
			       : LAZY_STAGE("task", take_task(d, word)); /* negative: a zombie */
	if (!d->remote) {
		d->committed = true;
		return 0;
	}
	if (!LAZY_STAGE("commit", remote_commit(d)))
		return 0;
	if (!d->j->sent) { /* then it has not agreed either */
		d->j->asked = false;
		restore_refuse(d);
	}
	return -1;
}

int restore_message(struct lazyd *d)
{
	int ret;

	d->j->hearing = true;
	ret = hear(d);
	d->j->hearing = false;
	return ret;
}

int restore_accept(struct lazyd *d)
{
	struct timeval stall = { .tv_sec = RESTORE_STALL_S };

	d->restore = TEMP_FAILURE_RETRY(accept4(d->listener, NULL, NULL, SOCK_CLOEXEC));
	if (d->restore < 0) {
		pr_perror("Can't accept a connection on " LAZY_SOCKET);
		return -1;
	}
	setsockopt(d->restore, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
	d->j->restore = d->restore;
	epoll_ctl(d->epoll, EPOLL_CTL_DEL, d->listener, NULL);
	return watch(d, d->restore, WATCH_RESTORE, NULL);
}
