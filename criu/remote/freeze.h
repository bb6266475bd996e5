/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Freezing and thawing a process tree. dump and pre-dump use it.
 *
 * Every thread is seized with ptrace(2) (PTRACE_SEIZE sends no signal) and interrupted. Threads and children
 * that appear meanwhile are found by looking again until nothing new is there.
 */
#ifndef CRIU_REMOTE_FREEZE_H
#define CRIU_REMOTE_FREEZE_H

#include "op.h"

/*
 * Freezes the tree under PID and fills op->tasks: pids, threads, states, sessions, stop signals, exit codes.
 * Gives up after TIMEOUT_S seconds (0: never). The time it took goes to op->stats. -1: logged; what was stopped so far is in op->tasks, for thaw_tree().
 */
int freeze_tree(struct op *op, pid_t pid, unsigned timeout_s);
/* Lets all threads go on. Tasks that were in a job control stop stay in it. STOP: leave every task stopped (SIGSTOP). */
void thaw_tree(struct op *op, bool stop);
/*
 * From now on the tasks run on another host: whatever becomes of criu, they end with it instead of going on here, all of them
 * from the same instant on (arenas_end_with_us()). All are puppets. By the thread that traces them.
 */
void tasks_belong_elsewhere(struct op *op);
/* Ends all tasks (SIGKILL) and waits until they are gone. */
int kill_tree(struct op *op);
/* Frees op->tasks. */
void tasks_free(struct op *op);

#endif
