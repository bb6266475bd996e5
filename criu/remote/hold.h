/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that are complete, and do not run whatever becomes of criu. restore holds a migrated tree like that while the source is asked to give it up.
 *
 * A held thread is in the stop that offers a SIGSTOP to its tracer. criu lets it go without the signal: nobody ever sees that there was one. Where criu dies
 * instead, the kernel delivers it, before an instruction of the thread runs: the task is in a job control stop, until the lazy-pages daemon, which knows
 * what the source has said, sends SIGCONT or SIGKILL. So there is no code of ours in a task that waits, and what a filter of system calls forbids does
 * not matter. (That the signal is not forgotten is the kernel's: what a tracer has not taken with wait(2), WNOWAIT, stays offered when it dies.)
 */
#ifndef CRIU_REMOTE_HOLD_H
#define CRIU_REMOTE_HOLD_H

#include <sys/types.h>

/* Thread TID of process PID is traced, is stopped and blocks every signal. It will be held; hold_wait() must follow. -1 logged. */
int hold_begin(pid_t pid, pid_t tid);
/* The thread is held now. Its registers and its mask can still be changed. VTID: for messages. -1 logged. */
int hold_wait(pid_t tid, pid_t vtid);
/* From now on it stays behind where criu dies, stopped: until here it is killed (PTRACE_O_EXITKILL). -1 logged. */
int hold_alone(pid_t tid, pid_t vtid);

#endif
