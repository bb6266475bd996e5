/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ptrace(2) and waitpid(2) as the remote room needs them: every thread is seized, waited for by its tid.
 */
#ifndef CRIU_REMOTE_TRACE_H
#define CRIU_REMOTE_TRACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Set by the SIGALRM of --timeout: waits end with EINTR. */
extern volatile sig_atomic_t trace_timed_out;

/* PTRACE_CONT without a signal. -1 logged. IMAGE_TID is for messages. */
int trace_cont(pid_t tid, pid_t image_tid);
/* PTRACE_CONT with a signal delivered (0: none). -1 logged. */
int trace_cont_signal(pid_t tid, int signo);
/* Waits for the stub's trap. A stopping signal that arrives meanwhile is kept in *PENDING_STOP. -1: the thread is gone, logged. */
int trace_wait_trap(pid_t tid, pid_t image_tid, int *pending_stop);
/* The same for a program that clones: *CHILD is the new task (0: none was made). The child is left in its first stop, not yet waited for. */
int trace_wait_clone(pid_t tid, pid_t image_tid, pid_t *child);
enum trace_stop {
	TRACE_STOPPED, /* a PTRACE_EVENT_STOP */
	TRACE_RUNS,    /* not yet, or SIGALRM came */
	TRACE_ENDED,   /* and has been waited for */
	TRACE_RENAMED, /* nobody of this tid is traced: it executed a program, and has its leader's tid now */
	TRACE_FAILED, /* logged */
};
/* Looks, or waits (until the SIGALRM of --timeout) for a stop. *SIGNO: the stop signal of a group stop, SIGTRAP otherwise. */
enum trace_stop trace_stop(pid_t tid, bool wait, int *signo);
/* Waits for the PTRACE_EVENT_STOP of a task that criu has made. -1: not reached. */
int trace_wait_stop(pid_t tid);
/* One system call at the syscall instruction IP, by PTRACE_SYSCALL (no signal is involved). Result, or -EIO logged. */
long trace_syscall(pid_t tid, pid_t image_tid, uint64_t ip, long nr, const uint64_t args[6]);
/* From any stop to a PTRACE_EVENT_STOP without running a single instruction of the task. -1 logged. */
int trace_to_event_stop(pid_t tid, pid_t image_tid);
int trace_get_sigmask(pid_t tid, uint64_t *mask);
int trace_set_sigmask(pid_t tid, uint64_t mask);

#endif
