/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making the tree of puppets in restore: clones in the right order, sessions, groups, threads, zombies. Called by restore.c.
 */
#ifndef CRIU_TASK_MAKE_H
#define CRIU_TASK_MAKE_H

#include "op.h"

/* Number of scratch areas the tree needs: one per thread, one per helper, and one to spare for the passing ones. */
unsigned tree_nr_slots(struct op *op);
/* All processes as puppets, each with its memory mapped and filled (mm_restore) before its children are cloned; sessions set. */
int tree_make(struct op *op);
/* Process groups; then the helpers end. After tree_make(). */
int tree_set_groups(struct op *op);
/* All threads but the leaders. When descriptors are in place. */
int tree_make_threads(struct op *op);
/* Zombies end as they did. Their parents do not see a SIGCHLD that was not pending. */
int tree_bury_zombies(struct op *op);
/* PARENT's child VPID was just stopped by restore: PARENT, still a puppet, neither gets a SIGCHLD nor has it to wait for. */
int tree_hide_stop(struct task *parent, pid_t vpid);
/* Kills whatever exists of the tree. */
void tree_kill(struct op *op);

#endif
