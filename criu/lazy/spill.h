/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dump --lazy-pages --spill DIR: after the commit the pages are also written to disk, in the background, so that the migration survives
 * the source's death. DIR then has pagemaps, pages, the inventory and the key of --tls-psk: page-server --lazy-pages -D DIR serves the same pages to the same clients.
 *
 * All or nothing: a marker file is there from before the first page until after the last is on the disk. A migration that completes needs no spill: what was
 * written is removed. Called by dump (open, drop), by the server of its pages (serve.c) and by page-server (check).
 */
#ifndef CRIU_LAZY_SPILL_H
#define CRIU_LAZY_SPILL_H

#include <stdbool.h>

struct server;

enum spill_state { SPILL_NONE, SPILL_RUNS, SPILL_FINISHED, SPILL_FAILED };

/* Before tasks are touched: DIR is there, or is made, and is empty. Nothing to do without --spill. -1 logged. */
int spill_open(void);
/* The tasks run here from now on, or it did not come so far: DIR is as it was found. */
void spill_drop(void);

/* The tasks here never run again: begins, once. What fails is a warning: the migration goes on. Calls server_wake() at its end. */
void spill_start(struct server *sv);
enum spill_state spill_state(void);
/* The server ends. Only a finished spill stays, and only where the migration is not COMPLETE. The sources must still be there. */
void spill_end(bool complete);

/* -1, logged: what is in this directory is a spill that was not finished. */
int spill_check(int dirfd);

#endif
