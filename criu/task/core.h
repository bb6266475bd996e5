/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything of a task but its memory, its files and its place in the tree: registers, credentials, signals, timers,
 * limits, scheduling, prctl values. One file per matter in this folder, dump and restore side by side;
 * core.c calls them in the right order. Images: core-*.img.
 */
#ifndef CRIU_TASK_CORE_H
#define CRIU_TASK_CORE_H

#include "op.h"

/*
 * dump: fills threads[i].core of a live task whose threads all are puppets (t->threads[i].puppet), or the short core of
 * a zombie. Registers as saved in the puppets. -1 logged.
 */
int core_dump(struct op *op, struct task *t);
/* Writes core-<vtid>.img of all threads of T. */
int core_write(struct op *op, struct task *t);

/* restore: reads core-<vtid>.img of all threads (t->threads[i].vtid is set), checks them. -1 logged. */
int core_read(struct op *op, struct task *t);
/*
 * restore: memory and descriptors are in place, all threads exist as puppets. Everything but registers and what would keep
 * criu from going on: sigactions, prctl, limits, scheduling, rseq, robust lists, alternate stacks, timers (not started: core_restore_late).
 */
int core_restore(struct op *op, struct task *t);
/* restore: the last program of each thread: timers started, pending signals queued, credentials, seccomp. */
int core_restore_late(struct op *op, struct task *t);
/* restore: an ignored SIGTRAP, after the last program of all threads; IP: a syscall instruction of the task's own. */
int core_restore_trap(struct op *op, struct task *t, uint64_t ip);
/* restore: after this the thread only has to be set free: FPU, blocked signals (general registers are loaded by the caller with arch_restore_regs
 * after the stub is unmapped). */
int core_restore_fpu_and_mask(struct op *op, struct thread *th);
/* restore: was SIGNO among the pending signals of T, or of one of its threads? */
bool core_has_pending(const struct task *t, int signo);
/* Frees what op holds for this room. */
void seccomp_free(struct op *op);

#endif
