/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tree of tasks: pstree.img, ids-*.img, and the order in which restore makes tasks so that parents, sessions and
 * process groups come out right.
 */
#ifndef CRIU_TASK_PSTREE_H
#define CRIU_TASK_PSTREE_H

#include "op.h"

/* dump: which tasks share memory, files, fs and signal handlers (kcmp(2)), and their namespaces: t->ids of live tasks. */
int ids_dump(struct op *op);
int ids_write(struct op *op, struct task *t);
/* dump: sessions and groups that a restore could not rebuild are refused here (--shell-job says that the root's may be foreign). */
int pstree_check(struct op *op);
int pstree_write(struct op *op);

/* restore: op->tasks from pstree.img (and ids, states are in core-*.img), checked. */
int pstree_read(struct op *op);
/*
 * restore: adds helper tasks for sessions and groups whose leader is gone (TASK_HELPER, at the end of the list),
 * and decides who makes whom: tasks whose session is not their parent's are made by a member of their session and then orphaned.
 */
int pstree_plan(struct op *op);

#endif
