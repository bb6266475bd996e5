// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lazy/deadman.h"
#include "lazy/handover.h"
#include "lazy/ready.h"
#include "lazy/report.h"
#include "lazy/uffd.h"
#include "op.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define DEFAULT_TIMEOUT_S 600
#define FIRST_PAUSE_MS	  50
#define LONGEST_PAUSE_MS  2000
#define FAREWELL_S	  5U
#define RESUME_STALL_S	  2

struct supervisor {
	struct lazyd *d;
	struct journal *j;
	int (*work)(struct lazyd *d, bool again);
	int worker, guard;	/* pidfds; -1: not running */
	int self;		/* the same of this process, for its guard */
	bool again;		/* a worker has run before */
	bool last;		/* nobody lacks pages any more: one more tells the server */
	unsigned failures;	/* in a row */
	uint64_t lost_since_us; /* 0: not lost */
	bool stopped;		/* the tasks are, until --resume */
};

static int pidfd_of(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

/* fork(2), but with one table of descriptors for both. */
static pid_t fork_sharing_files(int *pidfd)
{
	return syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, NULL);
}

static int keep_watch(struct supervisor *s);

static int start_guard(struct supervisor *s)
{
	struct pollfd p = { .events = POLLIN };
	pid_t pid = -1;

	close_safe(&s->guard);
	/* opened here: a guard that could not would not know whether main lives */
	if (s->self < 0)
		s->self = pidfd_of(getpid());
	if (s->self >= 0)
		pid = fork_sharing_files(&s->guard);
	if (pid < 0) {
		pr_perror("Can't start a guard");
		return -1;
	}
	if (pid) {
		s->j->guard = pid;
		return 0;
	}
	/* what ends main's terminal or session, or everything that is called criu, need not end it */
	setsid();
	prctl(PR_SET_NAME, "lazy-guard");
	p.fd = s->self;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	if (s->j->over)
		_exit(0);
	close_safe(&s->self);
	if (!s->j->used) { /* no task depends on us yet: what was killed is to be gone */
		kill(s->j->worker, SIGKILL);
		_exit(1);
	}
	pr_warn("lazy-pages (%d) was killed: its guard takes its place", s->j->main);
	prctl(PR_SET_NAME, "criu");
	s->j->main = getpid();
	s->again = true;
	/* these belong to the dead one, but the table is common: they are open, and the worker goes on */
	s->guard = -1;
	s->worker = pidfd_of(s->j->worker);
	_exit(keep_watch(s));
}

static int start_worker(struct supervisor *s)
{
	struct journal *j = s->j;
	pid_t pid;

	j->result = WORKER_DIED;
	j->connected = false;
	close_safe(&s->worker);
	pid = fork_sharing_files(&s->worker);
	if (!pid) {
		prctl(PR_SET_NAME, "lazy-worker");
		j->worker = getpid();
		j->result = s->work(s->d, s->again);
		_exit(j->result);
	}
	if (pid < 0) {
		pr_perror("Can't start a worker");
		s->lost_since_us = s->lost_since_us ?: now_us();
		return -1;
	}
	j->worker = pid;
	s->again = true;
	return 0;
}

/* ---- giving up, and going on ---- */

struct open_uffds {
	int *v;
	size_t nr, cap;
};

static int follow_uffds(const struct journal_event *e, void *arg)
{
	struct open_uffds *o = arg;
	int new = -1;

	if (e->kind == JOURNAL_TASK)
		new = e->uffd;
	else if (e->kind == JOURNAL_MESSAGE && e->msg->event == UFFD_EVENT_FORK)
		new = e->msg->arg.fork.ufd;
	else if (e->kind == JOURNAL_END)
		for (size_t i = 0; i < o->nr; i++)
			if (o->v[i] == e->uffd)
				o->v[i] = -1;
	if (new < 0)
		return 0;
	if (xgrow(&o->v, &o->cap, o->nr, sizeof(*o->v)))
		return -1;
	o->v[o->nr++] = new;
	return 0;
}

/* How many address spaces live that lack pages. */
static unsigned live_spaces(struct supervisor *s)
{
	struct open_uffds o = {};
	unsigned n = 0;

	journal_replay(s->j, follow_uffds, &o);
	for (size_t i = 0; i < o.nr; i++)
		n += o.v[i] >= 0 && uffd_space_lives(o.v[i]);
	free(o.v);
	return n;
}

/* The guard has a copy of what we know, from when it was started: another one is to have what is so now. Never are there two. */
static void renew_guard(struct supervisor *s)
{
	if (s->guard >= 0)
		syscall(SYS_pidfd_send_signal, s->guard, SIGKILL, NULL, 0);
	start_guard(s);
}

static void give_up(struct supervisor *s)
{
	bool listed;

	journal_signal_tasks(s->j, SIGSTOP);
	s->stopped = true;
	renew_guard(s);
	listed = !missing_report(s->d);
	report_write(s->d->st.history, REPORT_GIVEN_UP);
	if (!s->j->finished)
		pr_err("The source was asked to give its tasks up, and has not answered. If they "
		       "run there again,"
		       " kill those that are stopped here; if not, they can go on here:");
	pr_err("%" PRIu64
	       " pages of %u tasks are missing, and cannot be had%s: the tasks are stopped."
	       " \"criu lazy-pages --resume\" with the same -W (or -D), and --address and --port"
	       " where the server is now, lets them go on",
	       s->j->nr_left, live_spaces(s), listed ? " (" MISSING_FILE " lists them)" : "");
}

struct resume {
	uint32_t magic;
	int32_t port;
	char address[256];
};

static int take_resume(struct supervisor *s)
{
	cleanup_close int sock = accept4(s->d->listener, NULL, NULL, SOCK_CLOEXEC);
	struct timeval stall = { .tv_sec = RESUME_STALL_S };
	struct resume r;

	/* a restore that has come to the wrong place would wait for us, and we for it */
	if (sock >= 0)
		setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
	if (sock < 0 || recv_full(sock, &r, sizeof(r), 0) != sizeof(r) || r.magic != LAZY_RESUME)
		return 0;
	r.address[sizeof(r.address) - 1] = 0;
	if (r.address[0])
		opts.address = xstrdup(r.address);
	if (r.port)
		opts.port = r.port;
	pr_info("asked to go on, with %s port %d", opts.address ?: "local images", opts.port);
	s->stopped = false;
	s->j->extended = false;
	s->failures = 0;
	s->lost_since_us = now_us();
	renew_guard(s);
	missing_forget();
	/* who faults before the server answers waits, as always */
	journal_signal_tasks(s->j, SIGCONT);
	return write_full(sock, "", 1);
}

int supervise_resume(void)
{
	cleanup_close int sock = lazy_try_connect(dirs.work);
	struct resume r = { .magic = LAZY_RESUME, .port = opts.address ? opts.port : 0 };
	char byte;

	if (sock < 0) {
		pr_err("--resume: no lazy-pages is at work in this work directory (-W or -D): %s",
		       strerror(errno));
		return 1;
	}
	if (opts.address)
		snprintf(r.address, sizeof(r.address), "%s", opts.address);
	if (!write_full(sock, &r, sizeof(r)) && read_full(sock, &byte, 1) == 1)
		return 0;
	pr_err("lazy-pages did not take the message: see its log");
	return 1;
}

/* ---- the watch ---- */

/*
 * The worker was killed when it had read a part of what restore says, or all of it but had not passed it on. The source has not been asked for anything, so this can
 * simply be a restore that fails.
 */
static bool before_the_question(const struct journal *j)
{
	return j->asked ? j->extended && !j->sent && !j->finished : j->hearing;
}

static int refuse(struct supervisor *s)
{
	pr_err("The worker (%d) was killed while restore handed its tasks over", s->j->worker);
	restore_refuse(s->d);
	return -1;
}

/* The worker has ended. 1: another shall be started; or 0: the daemon is done, or -1: it failed */
static int worker_ended(struct supervisor *s)
{
	struct journal *j = s->j;
	uint64_t now = now_us();

	close_safe(&s->worker);
	if (j->result == WORKER_DONE)
		return 0;
	if (j->result == WORKER_FAILED && !j->asked)
		return -1;
	if (j->result == WORKER_DIED && before_the_question(j))
		return refuse(s);
	if (j->result == WORKER_DIED)
		pr_warn("The worker (%d) was killed: another goes on", j->worker);
	if (j->connected || !s->lost_since_us) {
		s->lost_since_us = now;
		s->failures = 0;
	}
	s->failures++;
	return 1;
}

static unsigned pause_ms(const struct supervisor *s)
{
	if (!s->failures || (s->failures == 1 && s->j->result == WORKER_DIED))
		return 0;
	return min(FIRST_PAUSE_MS << min(s->failures, 10U), LONGEST_PAUSE_MS);
}

/*
 * Another worker, after a pause that grows; or, when it has been tried for long enough, none. 0; 1: everything is in place; -1: there is nobody left to care for
 */
static int next_worker(struct supervisor *s)
{
	unsigned timeout_s = opts.reconnect_timeout_s ?: DEFAULT_TIMEOUT_S;

	/* nothing to do any more but to tell the server, for a while */
	if (s->again && s->j->asked && !live_spaces(s)) {
		bool enough = s->last && s->lost_since_us &&
			      now_us() - s->lost_since_us > min(FAREWELL_S, timeout_s) * 1000000UL;

		if (enough && s->j->complete) {
			pr_warn("Everything is in place, but perhaps the server does not know");
			return 1;
		}
		if (enough) {
			pr_err("The tasks have ended");
			return -1;
		}
		s->last = true;
	}
	if (s->j->full ||
	    (s->lost_since_us && now_us() - s->lost_since_us > timeout_s * 1000000UL)) {
		give_up(s);
		return 0;
	}
	usleep(pause_ms(s) * 1000);
	if (!start_worker(s))
		return 0;
	s->failures++;
	return s->j->used ? 0 : -1; /* where nobody depends on us yet, it ends here */
}

static void forward_signal(struct supervisor *s)
{
	struct signalfd_siginfo si;

	if (read(s->d->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (s->stopped)
		pr_warn("%s: not ending, since the tasks would go wrong when they go on. Kill them"
			" first",
			strsignal(si.ssi_signo));
	else if (s->worker >= 0)
		syscall(SYS_pidfd_send_signal, s->worker, si.ssi_signo, NULL, 0);
}

/* Waits for something. 0, or the end: 1 done, -1 failed */
static int wait_for_events(struct supervisor *s)
{
	struct pollfd p[] = {
		{ .fd = s->worker, .events = POLLIN },
		{ .fd = s->guard, .events = POLLIN },
		{ .fd = s->d->signals, .events = POLLIN },
		{ .fd = s->stopped ? s->d->listener : -1, .events = POLLIN },
	};
	int ret;

	if (poll(p, ARRAY_SIZE(p), s->stopped ? 1000 : -1) < 0 && errno != EINTR) {
		pr_perror("poll");
		return -1;
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (s->worker >= 0 && p[0].revents) {
		ret = worker_ended(s);
		if (ret <= 0)
			return ret ? -1 : 1;
	}
	if (s->guard >= 0 && p[1].revents)
		close_safe(&s->guard);
	if (p[2].revents)
		forward_signal(s);
	if (p[3].revents)
		take_resume(s);
	return s->stopped && !live_spaces(s) ? -1 : 0;
}

static int keep_watch(struct supervisor *s)
{
	int ret = 0;

	while (!ret) {
		if (s->guard < 0)
			start_guard(s); /* without one it goes on, less safely */
		if (s->worker < 0 && !s->stopped)
			ret = next_worker(s);
		if (!ret)
			ret = wait_for_events(s);
	}
	s->j->over = true;
	deadman_off();
	if (!s->stopped)
		report_write(s->d->st.history, ret < 0 ? REPORT_FAILED : REPORT_COMPLETE);
	if (s->guard >= 0) {
		syscall(SYS_pidfd_send_signal, s->guard, SIGKILL, NULL, 0);
		TEMP_FAILURE_RETRY(waitpid(s->j->guard, NULL, 0));
	}
	return ret < 0 ? 1 : 0;
}

int supervise(struct lazyd *d, int (*work)(struct lazyd *d, bool again))
{
	struct supervisor s = {
		.d = d, .j = d->j, .work = work, .worker = -1, .guard = -1, .self = -1
	};

	server_outlives_oom();
	s.j->main = getpid();
	return keep_watch(&s);
}
