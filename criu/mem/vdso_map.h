/* SPDX-License-Identifier: GPL-2.0-only */
/* The vDSO of a restored task: see vdso_map.c. Called by mem/restore.c. */
#ifndef CRIU_MEM_VDSO_MAP_H
#define CRIU_MEM_VDSO_MAP_H

#include "op.h"

/* Bytes of address space that a second vDSO would take: beside the arena, see op->vdso_hole. 0: there is none, logged. */
uint64_t vdso_room(void);
/* Puts the kernel's vDSO where the task had its own. Before other areas are mapped. -1 logged. */
int vdso_restore(struct op *op, struct task *t);

#endif
