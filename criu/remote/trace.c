// SPDX-License-Identifier: GPL-2.0-only
#include "remote/trace.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "regs.h"
#include "remote/syscall_name.h"
#include "util/log.h"

volatile sig_atomic_t trace_timed_out;

static pid_t wait_for(pid_t tid, int *status)
{
	pid_t got;

	do
		got = waitpid(tid, status, __WALL);
	while (got < 0 && errno == EINTR && !trace_timed_out);
	return got;
}

static int gone(pid_t image_tid, int status)
{
	if (WIFSIGNALED(status))
		pr_err("Task %d was killed by signal %d while criu worked in it", image_tid,
		       WTERMSIG(status));
	else
		pr_err("Task %d exited with %d while criu worked in it", image_tid,
		       WEXITSTATUS(status));
	errno = ESRCH;
	return -1;
}

/*
 * All signals are blocked in a puppet, so one of these is the answer to what its own instruction did. Going on would mean the same
 * instruction again, for ever.
 */
static bool is_fault(int status)
{
	int signo = WSTOPSIG(status);

	return !(status >> 16) && (signo == SIGSEGV || signo == SIGBUS || signo == SIGILL ||
				   signo == SIGFPE || signo == SIGSYS);
}

static int faulted(pid_t image_tid, int status)
{
	pr_err("Task %d got signal %d (%s) from what criu does in it%s", image_tid,
	       WSTOPSIG(status), strsignal(WSTOPSIG(status)),
	       WSTOPSIG(status) == SIGBUS ? " (is there no memory left?)" : "");
	errno = EFAULT;
	return -1;
}

int trace_cont(pid_t tid, pid_t image_tid)
{
	if (ptrace(PTRACE_CONT, tid, 0, 0)) {
		pr_perror("Can't continue task %d", image_tid);
		return -1;
	}
	return 0;
}

int trace_cont_signal(pid_t tid, int signo)
{
	if (ptrace(PTRACE_CONT, tid, 0, signo)) {
		pr_perror("Can't continue task %d", tid);
		return -1;
	}
	return 0;
}

/*
 * Waits for a stop of the kind asked for: WANT is the stop signal (SIGTRAP, or SIGTRAP | 0x80 for system calls).
 * Others that may come first: clone events, a SIGSTOP (which cannot be blocked), group stops.
 */
static int wait_sig(pid_t tid, pid_t image_tid, int want, int request, int *pending_stop)
{
	for (;;) {
		int status;

		if (wait_for(tid, &status) < 0) {
			pr_perror("Can't wait for task %d", image_tid);
			return -1;
		}
		if (!WIFSTOPPED(status))
			return gone(image_tid, status);
		if (is_fault(status))
			return faulted(image_tid, status);
		if (WSTOPSIG(status) == want && !(status >> 16))
			return 0;
		if (!(status >> 16) && pending_stop)
			*pending_stop = WSTOPSIG(status);
		else if (!(status >> 16))
			pr_debug("Task %d: signal %d while criu works in it", image_tid,
				 WSTOPSIG(status));
		if (ptrace(request, tid, 0, 0)) {
			pr_perror("Can't continue task %d", image_tid);
			return -1;
		}
	}
}

int trace_wait_trap(pid_t tid, pid_t image_tid, int *pending_stop)
{
	return wait_sig(tid, image_tid, SIGTRAP, PTRACE_CONT, pending_stop);
}

int trace_wait_clone(pid_t tid, pid_t image_tid, pid_t *child)
{
	unsigned long msg;
	int status;

	*child = 0;
	for (;;) {
		if (wait_for(tid, &status) < 0) {
			pr_perror("Can't wait for task %d", image_tid);
			return -1;
		}
		if (!WIFSTOPPED(status))
			return gone(image_tid, status);
		if (is_fault(status))
			return faulted(image_tid, status);
		switch (status >> 16) {
		case PTRACE_EVENT_CLONE:
		case PTRACE_EVENT_FORK:
		case PTRACE_EVENT_VFORK:
			if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &msg)) {
				pr_perror("Can't learn the pid of the new child of task %d",
					  image_tid);
				return -1;
			}
			*child = msg;
			break;
		case 0:
			if (WSTOPSIG(status) == SIGTRAP)
				return 0;
		}
		if (trace_cont(tid, image_tid))
			return -1;
	}
}

enum trace_stop trace_stop(pid_t tid, bool wait, int *signo)
{
	for (;;) {
		pid_t got;
		int status;

		got = wait ? wait_for(tid, &status) : waitpid(tid, &status, __WALL | WNOHANG);
		if (!got)
			return TRACE_RUNS;
		if (got < 0 && errno == ECHILD)
			return TRACE_RENAMED;
		if (got < 0 && errno == EINTR)
			return TRACE_RUNS;
		if (got < 0) {
			pr_perror("Can't wait for task %d", tid);
			return TRACE_FAILED;
		}
		if (!WIFSTOPPED(status))
			return TRACE_ENDED;
		if (status >> 16 == PTRACE_EVENT_STOP) {
			*signo = WSTOPSIG(status);
			return TRACE_STOPPED;
		}
		/* a signal or an event of its own was first: let it go on, the interrupt follows */
		if (ptrace(PTRACE_CONT, tid, 0, status >> 16 ? 0 : WSTOPSIG(status)) &&
		    errno != ESRCH) {
			pr_perror("Can't continue task %d", tid);
			return TRACE_FAILED;
		}
	}
}

int trace_wait_stop(pid_t tid)
{
	int signo;

	switch (trace_stop(tid, true, &signo)) {
	case TRACE_STOPPED:
		return 0;
	case TRACE_RUNS:
		errno = EINTR;
		pr_perror("Can't wait for task %d", tid);
		return -1;
	default:
		return -1;
	}
}

long trace_syscall(pid_t tid, pid_t image_tid, uint64_t ip, long nr, const uint64_t args[6])
{
	struct arch_regs regs;
	int stop = 0;

	if (arch_get_regs(tid, &regs))
		return -EIO;
	arch_setup_syscall(&regs, ip, nr, args);
	if (arch_set_regs(tid, &regs))
		return -EIO;
	for (int i = 0; i < 2; i++) { /* entry, exit */
		if (ptrace(PTRACE_SYSCALL, tid, 0, 0)) {
			pr_perror("Can't make task %d call %s", image_tid, syscall_name(nr));
			return -EIO;
		}
		if (wait_sig(tid, image_tid, SIGTRAP | 0x80, PTRACE_SYSCALL, &stop))
			return -EIO;
	}
	if (arch_get_regs(tid, &regs))
		return -EIO;
	if (stop) /* a stop signal was taken off the queue: put it back */
		kill(tid, stop);
	return arch_syscall_result(&regs);
}

int trace_to_event_stop(pid_t tid, pid_t image_tid)
{
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) || ptrace(PTRACE_CONT, tid, 0, 0)) {
		pr_perror("Can't interrupt task %d", image_tid);
		return -1;
	}
	return trace_wait_stop(tid);
}

int trace_get_sigmask(pid_t tid, uint64_t *mask)
{
	if (!ptrace(PTRACE_GETSIGMASK, tid, sizeof(*mask), mask))
		return 0;
	pr_perror("Can't read the blocked signals of task %d", tid);
	return -1;
}

int trace_set_sigmask(pid_t tid, uint64_t mask)
{
	if (!ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask))
		return 0;
	pr_perror("Can't set the blocked signals of task %d", tid);
	return -1;
}
