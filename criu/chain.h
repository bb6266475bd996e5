/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chains: a dump whose unchanged pages are in the images of the dump before it (--prev-images-dir), which the link "parent" in
 * the images directory leads to. Called by the stories of pre-dump, dump and page-server.
 *
 * A link belongs to the chain only where it is proved: the tracker that holds the tasks' userfaultfds knows the run id of the
 * link since whose scan the pages are protected, and the parent's inventory must say the same.
 */
#ifndef CRIU_CHAIN_H
#define CRIU_CHAIN_H

#include "op.h"

struct chain;

/*
 * --prev-images-dir: makes the link "parent" in the images directory, after a look at every link behind it. Without: takes an old link away.
 * COMPLETE: the links must have inventories (a page server's directories have none). -1 logged.
 */
int chain_link_parent(int images, bool complete);
/* Links the parent, and finds the trackers. Before tasks are touched. op->chain; -1 logged. */
int chain_open(struct op *op);
/*
 * The tree is frozen: was the parent made of it, and is it the last link? Then the tasks get their tracking from before (t->uffd,
 * t->tracked). -1, logged: the parent is another tree's, or pages written between it and a later link would be lost.
 */
int chain_join(struct op *op);
/* Before protection changes: until chain_continue() no link is the last. -1 logged. */
int chain_break(struct op *op);
/* The link is complete (op->run_id): a new tracker takes the userfaultfds over. -1 logged. */
int chain_continue(struct op *op);
/* Nothing is tracked any more. */
void chain_end(struct op *op);
void chain_free(struct op *op);

#endif
