/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One PTRACE_SEIZE (ptrace(2)), which waits for a thread of the same process that is inside of execve(2): and that one waits
 * until the other threads are gone, which those that are traced are only when their tracer has waited for them.
 */
#ifndef CRIU_REMOTE_ATTACH_H
#define CRIU_REMOTE_ATTACH_H

#include <sys/types.h>

#include "task/task.h"

/* PTRACE_SETOPTIONS of a thread that is being dumped. */
long seize_options(void);

/*
 * 0: done, with PTRACE_INTERRUPT. 1: TID has ended, or is about to. ATTACH_RENAMED: seized but not interrupted, since nobody has
 * that tid any more: see the caller. -1: logged. Until the SIGALRM of --timeout. Threads of T that turn out to have ended are marked so
 * (th->ended): they have been waited for. By the thread that is to trace.
 */
#define ATTACH_RENAMED 2
int attach(struct task *t, pid_t tid);
/* The handler of SIGALRM calls it. */
void attach_tick(void);

#endif
