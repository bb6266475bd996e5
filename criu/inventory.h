/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * inventory.img: written last by dump (without it a directory is no checkpoint), read first by restore. timens-0.img: the clocks.
 */
#ifndef CRIU_INVENTORY_H
#define CRIU_INVENTORY_H

#include "op.h"

int inventory_write(struct op *op);
/* The directory is no checkpoint any more. */
void inventory_remove(struct op *op);
/* A version or a missing property that this program cannot restore: -1 logged. */
int inventory_check(struct op *op);
/* dump: the monotonic and boot time clocks as the tasks see them, into timens-0.img. */
int timens_dump(struct op *op);
/* restore: criu's next children live in a time namespace in which these clocks go on from their values at the dump. */
int timens_restore(struct op *op);

#endif
