// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "remote/seize.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "proc/proc.h"
#include "remote/attach.h"
#include "remote/trace.h"
#include "util/io.h"
#include "util/log.h"

static struct thread *find_thread(struct task *t, pid_t tid)
{
	for_each_thread (th, t)
		if (th->tid == tid)
			return th;
	return NULL;
}

int thread_add(struct task *t, pid_t tid)
{
	struct thread *th = xrealloc(t->threads, (t->nr_threads + 1) * sizeof(*th));

	if (!th)
		return -1;
	t->threads = th;
	th[t->nr_threads++] = (struct thread){ .tid = tid, .task = t };
	return 0;
}

void thread_drop(struct task *t, struct thread *th)
{
	unsigned i = th - t->threads;

	memmove(th, th + 1, (t->nr_threads - i - 1) * sizeof(*th));
	t->nr_threads--;
}

/* Is TID in a stop? Who has a tid now need not be the one whose stop was seen, nor one whose stop is yet to come. */
static bool stands(pid_t tid)
{
	unsigned long msg;

	return !ptrace(PTRACE_GETEVENTMSG, tid, 0, &msg);
}

/*
 * A thread was seized, and was gone when it was to be interrupted: as long as it is traced only the execution of a program can have
 * taken its tid away. Either it has its leader's now, and has not been interrupted, or it was the leader, and another thread has its
 * tid, which is not traced. 1: the former; 0: the latter; -1: logged.
 */
static int follow_exec(struct task *t)
{
	struct thread *first = find_thread(t, t->pid);

	if (stands(t->pid))
		return 0;
	if (ptrace(PTRACE_INTERRUPT, t->pid, 0, 0)) {
		if (errno == ESRCH)
			return 0;
		pr_perror("Can't interrupt task %d", t->pid);
		return -1;
	}
	if (!first)
		return thread_add(t, t->pid) ? -1 : 1;
	first->stopped = false;
	return 1;
}

/* A leader that has ended while other threads go on: the kernel tells its tracer only when the others have ended too. */
static bool is_dead_leader(struct task *t, pid_t tid)
{
	cleanup_free char *text = tid == t->pid ? read_file_at(t->proc, "stat", NULL) : NULL;
	struct proc_stat st;

	/* where it can't be read the wait goes on: it needs no descriptor */
	return text && !proc_parse_stat(text, &st) && st.state == 'Z';
}

/*
 * One look at a thread that may have moved. A thread that executes a program takes its leader's tid, and its own is gone: so
 * the leader has to be waited for (again). False: TH is in the list no more. -1 in *ERR: logged.
 */
static bool look(struct task *t, struct thread *th, int *err)
{
	struct thread *first;
	int signo;

	switch (th->ended ? TRACE_ENDED : trace_stop(th->tid, false, &signo)) {
	case TRACE_STOPPED:
		th->stopped = true;
		if (signo != SIGTRAP) {
			t->state = TASK_STOPPED;
			t->stop_signo = signo;
		}
		return true;
	case TRACE_RUNS:
		return true;
	case TRACE_ENDED:
		break;
	case TRACE_RENAMED:
		first = find_thread(t, t->pid);
		if (th->tid == t->pid)
			break;
		/* the interrupt may have gone to the old leader, which has TH's tid while it ends */
		if (!stands(t->pid))
			ptrace(PTRACE_INTERRUPT, t->pid, 0, 0);
		if (first) {
			first->stopped = first->stopped && stands(first->tid);
			break;
		}
		th->tid = t->pid;
		th->stopped = false;
		return true;
	case TRACE_FAILED:
		*err = -1;
		return true;
	}
	thread_drop(t, th);
	return false;
}

/*
 * All threads are looked at in turn: one that ends the process or executes a program waits for the others' end, and these are
 * not gone before their tracer has waited for them. To wait for the first alone would be to wait for ever; so would be to wait for one
 * whose tid another one takes over: the kernel wakes nobody then.
 */
static int wait_stopped(struct task *t)
{
	for (unsigned round = 0;; round++) {
		struct thread *runs = NULL;
		int err = 0;

		for (unsigned i = 0; i < t->nr_threads;) {
			struct thread *th = &t->threads[i];

			if (round && !th->stopped && is_dead_leader(t, th->tid)) {
				thread_drop(t, th);
				continue;
			}
			if (!round && th->stopped)
				i++;
			else if (look(t, th, &err))
				i++;
			if (err)
				return -1;
		}
		for_each_thread (th, t)
			if (!th->stopped)
				runs = th;
		if (!runs)
			return 0;
		if (trace_timed_out) {
			pr_err("Task %d does not stop: is it waiting for a device, or for its "
			       "vfork()ed child? (--timeout sets how long criu waits)",
			       runs->tid);
			return -1;
		}
		if (round < 50)
			sched_yield();
		else
			usleep(min(round, 1000u));
	}
}

/*
 * A thread that was not listed may have executed a program since: then it has the tid of the leader, which is gone, and nobody traces
 * it. 0: nothing has moved; 1: the leader is dropped; -1: logged.
 */
static int leader_is_ours(struct task *t)
{
	struct thread *first = find_thread(t, t->pid);
	int err = 0;

	if (!first || look(t, first, &err))
		return err;
	return 1;
}

int seize_threads(struct task *t)
{
	cleanup_closedir DIR *d = NULL;
	struct dirent *de;
	int nr = 0;
	int fd = openat(t->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (errno == ENOENT || errno == ESRCH)
			return 0;
		pr_perror("Can't list the threads of task %d", t->pid);
		return -1;
	}
	while ((de = readdir(d))) {
		pid_t tid = atoi(de->d_name);
		int ret;

		if (tid <= 0 || find_thread(t, tid))
			continue;
		ret = attach(t, tid);
		if (ret == ATTACH_RENAMED) {
			ret = follow_exec(t);
			nr++; /* something has moved: look again */
			if (ret >= 0)
				continue;
		}
		if (ret < 0)
			return -1;
		if (ret)
			continue;
		if (thread_add(t, tid)) {
			ptrace(PTRACE_DETACH, tid, 0, 0);
			return -1;
		}
		nr++;
	}
	if (!t->nr_threads) /* a zombie, or the listed are gone, and another one has the leader's tid */
		return 1;
	if (!nr)
		return leader_is_ours(t);
	return wait_stopped(t) ? -1 : nr;
}
