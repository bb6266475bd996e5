/* SPDX-License-Identifier: GPL-2.0-only */
/* Contents of restored memory: see fill.c. Called by mem/restore.c. */
#ifndef CRIU_MEM_FILL_H
#define CRIU_MEM_FILL_H

#include "op.h"

/*
 * Fills the mapped areas of the puppet T from its pagemap; counts what is left to userfaultfd in t->nr_lazy (--lazy-pages). Inherited
 * areas: only pages that differ from the parent's are written. -1 logged.
 */
int fill_pages(struct op *op, struct task *t);

#endif
