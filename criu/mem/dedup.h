/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Deduplication of chains: bytes of a parent's pages file that no restore will read any more are given back to the file system
 * (fallocate(2), FALLOC_FL_PUNCH_HOLE). Called by the command dedup, and with --auto-dedup by dump, pre-dump, page-server and restore.
 */
#ifndef CRIU_MEM_DEDUP_H
#define CRIU_MEM_DEDUP_H

/* Punches out of the links behind DIR what DIR itself holds anew. DIR must be complete: what is punched is gone. -1 logged. */
int dedup_parents(int dir);
/* The same for every link of the chain, as seen from the one after it. -1 logged. */
int dedup_chain(int dir);
/* After a restore: punches all pages out of DIR and the links behind it. -1 logged. */
int dedup_all(int dir);

#endif
