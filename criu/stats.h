/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The statistics of an operation: stats-dump and stats-restore in the work directory, and --display-stats.
 * Called at the end of the stories, after they went well.
 */
#ifndef CRIU_STATS_H
#define CRIU_STATS_H

struct op;

/* op->stats as stats-dump (dump, pre-dump) or stats-restore, by op->name; printed where --display-stats asks. -1: logged. */
int stats_write(const struct op *op);

#endif
