// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "remote/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc/proc.h"
#include "remote/seize.h"
#include "remote/trace.h"
#include "util/io.h"
#include "util/kernel.h"
#include "util/log.h"

#define TICK_NS	   5000000 /* how long an execve() may wait for us, at most */

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

static bool is_kernel_thread(pid_t tid)
{
	cleanup_free char *text = NULL;
	struct proc_stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	text = read_file_at(AT_FDCWD, path, NULL);
	return text && !proc_parse_stat(text, &st) && (st.flags & PF_KTHREAD);
}

/* Why a thread can't be seized: 1: it has ended, or is about to; 2: for no lasting reason, if there may be TRIES more; else -1, logged. */
static int not_seized(pid_t tid, int err, int tries)
{
	cleanup_free char *text = NULL;
	struct proc_status st;
	char path[64];
	bool ended;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	text = read_file_at(AT_FDCWD, path, NULL);
	if (!text)
		return 1;
	if (proc_parse_status(text, &st))
		return -1;
	proc_status_free(&st);
	ended = st.state == 'Z' || st.state == 'X';
	if (ended)
		return 1;
	if (is_kernel_thread(tid)) {
		pr_err("Process %d is a thread of the kernel: it has no memory or state that could "
		       "be saved",
		       tid);
		return -1;
	}
	/* a leader that has ended says EPERM, and is another thread in the next moment: the one that executes a program */
	if (err == EPERM && !st.tracer && tries)
		return 2;
	/* a thread that is seized already: it has executed a program, and its leader's tid, since */
	if (st.tracer == gettid())
		return 1;
	errno = err;
	if (st.tracer)
		pr_err("Can't seize task %d: process %d traces it already (a debugger?)", tid,
		       st.tracer);
	else if (err == EPERM)
		pr_err("Can't seize task %d: Operation not permitted. criu must run as root, with "
		       "CAP_SYS_PTRACE, and outside of what forbids ptrace",
		       tid);
	else
		pr_perror("Can't seize task %d", tid);
	return -1;
}

long seize_options(void)
{
	/* a filter of the task's own must not see what its puppet does */
	return PTRACE_O_TRACESYSGOOD |
	       (kernel_has(K_SECCOMP_SUSPEND) ? PTRACE_O_SUSPEND_SECCOMP : 0);
}

/* ---- a system call that must not wait for ever ---- */

static struct task *volatile attaching; /* NULL: not in it */
static sigjmp_buf out;

static void reap_ended(struct task *t)
{
	for_each_thread (th, t) {
		siginfo_t si = { 0 };

		if (!th->ended && !waitid(P_PID, th->tid, &si, WEXITED | WNOHANG | __WALL) &&
		    si.si_pid)
			th->ended = true;
	}
}

void attach_tick(void)
{
	int err = errno;

	if (!attaching)
		return;
	reap_ended(attaching);
	errno = err;
	/* the kernel would begin again and again */
	if (trace_timed_out)
		siglongjmp(out, 1);
}

/* As ptrace(PTRACE_SEIZE). ETIME: it may have been done, or not. */
static int seize_by(struct task *t, pid_t tid)
{
	struct itimerspec often = { { 0, TICK_NS }, { 0, TICK_NS } };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	timer_t timer;
	bool ticks;
	int err = 0;

	ev._sigev_un._tid = syscall(SYS_gettid);
	ticks = t->nr_threads && !timer_create(CLOCK_MONOTONIC, &ev, &timer);
	if (sigsetjmp(out, 1)) {
		err = ETIME;
	} else {
		attaching = t;
		if (ticks)
			timer_settime(timer, 0, &often, NULL);
		if (ptrace(PTRACE_SEIZE, tid, 0, seize_options()))
			err = errno;
	}
	attaching = NULL;
	if (ticks)
		timer_delete(timer);
	errno = err;
	return err ? -1 : 0;
}

int attach(struct task *t, pid_t tid)
{
	for (int tries = 3;; tries--) {
		int ret;

		if (!seize_by(t, tid))
			return ptrace(PTRACE_INTERRUPT, tid, 0, 0) ? ATTACH_RENAMED : 0;
		if (errno == ESRCH)
			return 1;
		if (errno == ETIME) {
			ptrace(PTRACE_DETACH, tid, 0, 0);
			pr_err("Task %d can't be seized: a thread of it executes a program, and "
			       "waits for another one that somebody traces (a debugger?)",
			       tid);
			return -1;
		}
		ret = not_seized(tid, errno, tries);
		if (ret != 2)
			return ret;
	}
}
