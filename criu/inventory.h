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
/*
 * Before the first image is written: the directory holds none of an older dump any more. A kind without entries has no file, so
 * restore would take one that is left there for this dump's. -1: logged.
 */
int inventory_clear(struct op *op);
/* What a later link of a chain must know of an earlier one, whose directory is DIR. -1 logged. */
struct link_info {
	char run_id[40];    /* "": none */
	uint64_t uptime_us; /* when it was made, after boot; 0: not said */
	bool serves_extended;
};
int inventory_link(int dir, struct link_info *link);
/* A number for the dump that made DIR: the same in every copy of it, and another one in any other dump's. 0: there is none. */
uint64_t inventory_run(int dir);
/* Was DIR made by a dump --lazy-pages of ours, whose server speaks the extensions of the protocol? */
bool inventory_serves_extended(int dir);
/* A version or a missing property that this program cannot restore: -1 logged. */
int inventory_check(struct op *op);
/* dump: the monotonic and boot time clocks as the tasks see them, into timens-0.img. */
int timens_dump(struct op *op);
/* restore: criu's next children live in a time namespace in which these clocks go on from their values at the dump. */
int timens_restore(struct op *op);

#endif
