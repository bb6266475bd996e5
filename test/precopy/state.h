/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state file of a tree of processes, which all of them map, and who tests them (class Tree in test/trees.py): what is in it
 * survives outside of any checkpoint, so that a process that was put back to an older state is found out. When WANT
 * changes, every process verifies all that it has, says so in its slot, and goes on.
 */
#ifndef PRECOPY_STATE_H
#define PRECOPY_STATE_H

#include <stdatomic.h>
#include <stdint.h>

#define MAX_PROCS 64

struct slot {
	_Atomic uint64_t used, done, counter; /* the last WANT that was verified; operations */
};
struct state {
	_Atomic uint64_t want, bad, ready;
	char why[96];	     /* of the first bad thing */
	_Atomic uint64_t at; /* an address for the test */
	struct slot slots[MAX_PROCS];
};

#endif
