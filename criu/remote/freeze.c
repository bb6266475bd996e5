// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "remote/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "proc/proc.h"
#include "remote/arena.h"
#include "remote/attach.h"
#include "remote/puppet.h"
#include "remote/seize.h"
#include "remote/trace.h"
#include "util/io.h"
#include "util/kernel.h"
#include "util/log.h"

/* Of --timeout, or of a timer of attach.c. */
static void on_alarm(int signo, siginfo_t *si, void *context)
{
	if (si->si_code != SI_TIMER)
		trace_timed_out = 1;
	attach_tick();
}

/* The deadline of --timeout: SIGALRM makes waitpid() return. */
static void set_timeout(unsigned seconds)
{
	struct sigaction sa = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO };
	struct itimerval it = { .it_value.tv_sec = seconds };

	trace_timed_out = 0;
	sigaction(SIGALRM, &sa, NULL);
	/* again and again, so that a signal that comes just before a wait is not the last one */
	it.it_interval.tv_usec = seconds ? 100000 : 0;
	setitimer(ITIMER_REAL, &it, NULL);
}

struct task *task_find(struct op *op, pid_t vpid)
{
	struct task *t;

	for_each_task (t, op)
		if (t->vpid == vpid)
			return t;
	return NULL;
}

static void task_free(struct task *t)
{
	for_each_thread (th, t)
		if (th->core)
			core_entry__free_unpacked(th->core, NULL);
	free(t->threads);
	if (t->ids)
		task_kobj_ids_entry__free_unpacked(t->ids, NULL);
	if (t->mm)
		mm_entry__free_unpacked(t->mm, NULL);
	if (t->fs)
		fs_entry__free_unpacked(t->fs, NULL);
	for (size_t i = 0; i < t->nr_fds; i++)
		fdinfo_entry__free_unpacked(t->fds[i], NULL);
	free(t->fds);
	free(t->vmas);
	close_safe(&t->pidfd);
	close_safe(&t->proc);
	close_safe(&t->uffd);
	free(t);
}

void tasks_free(struct op *op)
{
	struct task *t;

	while ((t = TAILQ_FIRST(&op->tasks))) {
		TAILQ_REMOVE(&op->tasks, t, link);
		task_free(t);
	}
	op->root = NULL;
	op->nr_tasks = 0;
}

static struct task *new_task(struct op *op, struct task *parent, pid_t pid)
{
	struct task *t = xzalloc(sizeof(*t)), *last = parent, *c;
	char path[64];

	if (!t)
		return NULL;
	t->pid = pid;
	t->parent = parent;
	t->state = TASK_ALIVE;
	t->pidfd = t->uffd = -1;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	t->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->proc < 0) {
		if (!parent && errno == ENOENT)
			pr_err("There is no process %d here: --tree wants the pid of the root "
			       "task, as criu's own pid namespace numbers it",
			       pid);
		else if (!parent || (errno != ENOENT && errno != ESRCH))
			pr_perror("Can't find process %d", pid);
		free(t);
		return NULL;
	}
	/* pre-order: behind the parent and its other children's trees */
	if (parent)
		for (c = TAILQ_NEXT(parent, link); c; c = TAILQ_NEXT(c, link)) {
			struct task *up = c->parent;

			while (up && up != parent)
				up = up->parent;
			if (!up)
				break;
			last = c;
		}
	if (last)
		TAILQ_INSERT_AFTER(&op->tasks, last, t, link);
	else
		TAILQ_INSERT_TAIL(&op->tasks, t, link);
	op->nr_tasks++;
	return t;
}

static void forget_task(struct op *op, struct task *t)
{
	TAILQ_REMOVE(&op->tasks, t, link);
	op->nr_tasks--;
	task_free(t);
}

/* What /proc says about a task that cannot move any more. MOVED: it just did, and is looked at again. */
static int describe(struct op *op, struct task *t, bool moved)
{
	struct proc_status status;
	struct proc_stat stat;
	unsigned level = 0;
	bool is_ours;

	if (proc_read_stat(t->proc, "stat", &stat) || proc_read_status(t->proc, "status", &status))
		return -1;
	is_ours = status.tracer == gettid();
	/* NSpid: from ours inwards; the innermost is the task's own view */
	level = status.nr_nspid ? status.nr_nspid - 1 : 0;
	t->vpid = status.nr_nspid ? status.nspid[level] : t->pid;
	proc_status_free(&status);
	t->ppid = stat.ppid;
	t->start_time = stat.start_time;
	t->pgid = stat.pgrp;
	t->sid = stat.session;
	t->exit_signal = stat.exit_signal;
	if (stat.state == 'Z') {
		if (stat.num_threads > 1 && moved)
			return 0; /* another thread may be about to execute a program */
		if (stat.num_threads > 1) {
			pr_err("The main thread of task %d has exited while others go on: not "
			       "supported",
			       t->pid);
			return -1;
		}
		t->state = TASK_DEAD;
		t->exit_code = stat.exit_code;
		/* it ended when it had been seized: its parent cannot wait for it before its tracer has */
		if (is_ours)
			waitpid(t->pid, NULL, __WALL | WNOHANG);
		while (t->nr_threads > 1)
			thread_drop(t, &t->threads[t->nr_threads - 1]);
		if (!t->nr_threads && thread_add(t, t->pid))
			return -1;
	}
	return 0;
}

static bool known(struct op *op, pid_t pid)
{
	struct task *t;

	for_each_task (t, op)
		if (t->pid == pid)
			return true;
	return false;
}

/* Looks for children of T that are not in the list yet. Returns how many there were, or -1. */
static int find_children(struct op *op, struct task *t)
{
	int nr = 0;

	for_each_thread (th, t) {
		cleanup_free char *text = NULL;
		char path[64], *at, *end;

		snprintf(path, sizeof(path), "task/%d/children", th->tid);
		text = read_file_at(t->proc, path, NULL);
		if (!text) {
			if (errno == ENOENT || errno == ESRCH)
				continue; /* a zombie */
			pr_perror("Can't list the children of task %d (CONFIG_PROC_CHILDREN?)",
				  t->pid);
			return -1;
		}
		for (at = text;; at = end) {
			pid_t pid = strtol(at, &end, 10);

			if (end == at)
				break;
			if (known(op, pid))
				continue;
			if (pid == getpid()) {
				pr_err("criu itself (process %d) is part of the tree under %d", pid,
				       op->root->pid);
				return -1;
			}
			if (new_task(op, t, pid))
				nr++;
			else if (errno != ENOENT && errno != ESRCH)
				return -1;
		}
	}
	return nr;
}

static int freeze_round(struct op *op, int *nr_new)
{
	struct task *t, *tmp;
	int ret;

	*nr_new = 0;
	TAILQ_FOREACH_SAFE (t, &op->tasks, link, tmp) {
		if (t->state == TASK_DEAD)
			continue;
		ret = seize_threads(t);
		if (ret < 0)
			return -1;
		*nr_new += ret;
		if (describe(op, t, ret)) {
			if (t == op->root)
				return -1;
			forget_task(op, t);
			continue;
		}
		if (t->state == TASK_DEAD)
			continue;
		ret = find_children(op, t);
		if (ret < 0)
			return -1;
		*nr_new += ret;
		/* the children just found stand behind T: this walk comes to them */
		tmp = TAILQ_NEXT(t, link);
	}
	return 0;
}

/* Threads' and sessions' numbers in the namespace of the root task. */
static int translate_pids(struct op *op)
{
	struct task *t, *u;
	pid_t pgid, sid;

	for_each_task (t, op) {
		for_each_thread (th, t) {
			struct proc_status st;
			char path[64];

			th->vtid = t->vpid;
			if (th->tid == t->pid || op->root->vpid == op->root->pid) {
				th->vtid = th->tid == t->pid ? t->vpid : th->tid;
				continue;
			}
			snprintf(path, sizeof(path), "task/%d/status", th->tid);
			if (proc_read_status(t->proc, path, &st))
				return -1;
			th->vtid = st.nr_nspid ? st.nspid[st.nr_nspid - 1] : th->tid;
			proc_status_free(&st);
		}
		/* the leader is the first */
		for (unsigned i = 1; i < t->nr_threads; i++)
			if (t->threads[i].tid == t->pid) {
				struct thread tmp = t->threads[0];

				t->threads[0] = t->threads[i];
				t->threads[i] = tmp;
			}
	}
	for_each_task (t, op) {
		pgid = sid = op->root->vpid == op->root->pid ? -1 : 0;
		for_each_task (u, op) {
			if (u->pid == t->pgid)
				pgid = u->vpid;
			if (u->pid == t->sid)
				sid = u->vpid;
		}
		/* a leader that is gone or outside: its number is kept where the namespaces are the same */
		if (pgid > 0)
			t->pgid = pgid;
		else if (!pgid)
			t->pgid = 0;
		if (sid > 0)
			t->sid = sid;
		else if (!sid)
			t->sid = 0;
	}
	return 0;
}

static int freeze_all(struct op *op, pid_t pid)
{
	int nr_new;

	if (pid == getpid()) {
		pr_err("Process %d is criu itself", pid);
		return -1;
	}
	op->root = new_task(op, NULL, pid);
	if (!op->root)
		return -1;
	do {
		if (freeze_round(op, &nr_new))
			return -1;
		if (nr_new && trace_timed_out) {
			pr_err("The tree under process %d does not stand still: new tasks come as "
			       "fast as they are stopped (--timeout sets how long criu tries)",
			       pid);
			return -1;
		}
	} while (nr_new);
	if (op->root->state == TASK_DEAD) {
		pr_err("Process %d has exited already", pid);
		return -1;
	}
	return translate_pids(op);
}

int freeze_tree(struct op *op, pid_t pid, unsigned timeout_s)
{
	uint64_t start = now_us();
	int ret;

	set_timeout(timeout_s);
	ret = freeze_all(op, pid);
	set_timeout(0);
	op->stats.freezing_us = now_us() - start;
	return ret;
}

void thaw_tree(struct op *op, bool stop)
{
	struct task *t;

	for_each_task (t, op) {
		if (t->state == TASK_DEAD)
			continue;
		if (stop && t->state == TASK_ALIVE)
			kill(t->pid, SIGSTOP);
		for_each_thread (th, t) {
			puppet_hide_eintr(th->tid);
			if (ptrace(PTRACE_DETACH, th->tid, 0, 0))
				pr_debug("Can't detach from task %d: %s", th->tid, strerror(errno));
		}
	}
}

/* The option is for those whose stub does not come to its end: a task in a job control stop. So these are the first. */
void tasks_belong_elsewhere(struct op *op)
{
	struct task *t;

	fault_kill("committing");
	arenas_end_with_us();
	fault_kill("committed");
	for (int stopped = 1; stopped >= 0; stopped--)
		for_each_live_task (t, op) {
			if (stopped != (t->state == TASK_STOPPED))
				continue;
			for_each_thread (th, t)
				if (ptrace(PTRACE_SETOPTIONS, th->tid, 0,
					   seize_options() | PTRACE_O_EXITKILL))
					pr_debug("Can't bind task %d to criu: %s", th->tid,
						 strerror(errno));
			fault_kill("half-committed");
		}
}

/* Waits until the tracer has been told of every thread's end: the leader's comes when the others have been waited for. */
static void wait_threads(struct task *t)
{
	int status;

	for (int i = t->nr_threads - 1; i >= 0; i--)
		while (TEMP_FAILURE_RETRY(waitpid(t->threads[i].tid, &status, __WALL)) ==
			       t->threads[i].tid &&
		       WIFSTOPPED(status))
			;
}

/*
 * Children before parents: a parent that is still a puppet takes its zombies away itself, so that no pid stays in use until
 * some init gets around to it. A restore on the same host needs the pids at once.
 */
int kill_tree(struct op *op)
{
	struct task *t;
	int ret = 0;

	/* should criu be killed on the way, none of the others goes on */
	arenas_end_with_us();
	TAILQ_FOREACH_REVERSE(t, &op->tasks, task_list, link)
	{
		struct puppet *parent = t->parent ? leader(t->parent)->puppet : NULL;

		if (t->state != TASK_DEAD) {
			if (kill(t->pid, SIGKILL)) {
				pr_perror("Can't kill task %d", t->pid);
				ret = -1;
				continue;
			}
			wait_threads(t);
		}
		fault_kill("half-ended");
		if (parent)
			puppet_call(parent, __NR_wait4, t->vpid, 0, WNOHANG | __WALL, 0);
	}
	/* the root is its parent's to take away; where that is init, it will come to it soon */
	for (int i = 0; i < 1000 && op->root->ppid == 1 && !kill(op->root->pid, 0); i++)
		usleep(1000);
	return ret;
}
