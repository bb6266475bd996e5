/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of a pre-dump: found and write-protected while the task is stopped, copied while it runs. Called by predump.c.
 *
 * A page that changes between the two is copied with either content, and counts as written: the next link has it again. So
 * the order is all that matters: protect first, then copy.
 */
#ifndef CRIU_MEM_PRECOPY_H
#define CRIU_MEM_PRECOPY_H

#include "op.h"

struct precopy; /* of one task */

/*
 * The stopped task: its areas are tracked from now on (mem/track.h), and what was written since the parent link is noted. With
 * --pre-dump-mode splice the task, whose leader is a puppet, puts these pages into pipes of ours. NULL: logged.
 */
struct precopy *precopy_scan(struct op *op, struct task *t);
/* The running task: its pages into the images or to the page server. -1 logged; a task that has ended meanwhile is no error. */
int precopy_write(struct op *op, struct precopy *pc);
void precopy_free(struct precopy *pc);

#endif
