/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The threads of one process: found, seized with ptrace(2) (PTRACE_SEIZE sends no signal), interrupted and waited for, while they
 * come and go. freeze.c uses it.
 */
#ifndef CRIU_REMOTE_SEIZE_H
#define CRIU_REMOTE_SEIZE_H

#include <sys/types.h>

#include "task/task.h"

/*
 * Seizes the threads of T that are not in t->threads, and waits until all of T stand still; who ends instead is dropped. Sets
 * t->state and t->stop_signo where T is in a job control stop. Returns how many were new (also of those that ended), so that
 * 0 says that nothing has moved; -1: logged.
 */
int seize_threads(struct task *t);
int thread_add(struct task *t, pid_t tid);
void thread_drop(struct task *t, struct thread *th);

#endif
