/* SPDX-License-Identifier: GPL-2.0-only */
/* crit diff: what diff.c (tasks, descriptors) and diff_mem.c (areas, pages) share. */
#ifndef CRIU_CRIT_DIFF_H
#define CRIU_CRIT_DIFF_H

#include "checkpoint.h"

struct diff {
	struct checkpoint a, b;
	unsigned long nr; /* differences */
	uint32_t pid;	  /* of the task being compared: begins the lines */
};

/* Prints a difference of the task being compared, and counts it. */
void differs(struct diff *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Areas and pages of task d->pid, which both have. -1: logged. */
int diff_memory(struct diff *d);

#endif
