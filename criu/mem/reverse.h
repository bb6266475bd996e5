/* SPDX-License-Identifier: GPL-2.0-only */
/* Restore of lazy areas: what the kernel makes with an area's first page must be there before that page. Called by fill.c. */
#ifndef CRIU_MEM_REVERSE_H
#define CRIU_MEM_REVERSE_H

#include "op.h"

/* For the areas of T that are bare, when everything else is filled and they are still writable. -1 logged. */
int make_reverse_maps(struct op *op, struct task *t);

#endif
