/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An operation: one dump, pre-dump or restore. Passed down to every step; there is no other global state
 * than the options and the log.
 */
#ifndef CRIU_OP_H
#define CRIU_OP_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "task/task.h"
#include "util/opts.h"

struct file_table;
struct arena;
struct chain;
struct smaps;
struct vm_flags;
struct seccomp_table;

struct op {
	const char *name; /* "dump", "pre-dump", "restore" */
	int images, work; /* directories */
	struct task_list tasks;
	struct task *root;
	unsigned nr_tasks;
	struct file_table *files;  /* files/files.h */
	struct smaps *smaps;	   /* mem/vma.c: dump: being read */
	struct vm_flags *vm_flags; /* mem/vm_flags.h: dump: does without smaps; NULL: not so */
	struct arena *arena;	   /* remote/arena.h: restore: one for the whole tree */
	struct seccomp_table
		*seccomp;    /* task/seccomp.c: filters of all tasks, NULL before the first */
	struct chain *chain; /* chain.h: dump, pre-dump: the links before this one */
	bool follow;	     /* what the tasks write from here on is tracked, for a next link */
	char run_id[40];     /* of the images: set by inventory_write() */

	uint64_t
		vdso_hole; /* restore: free in every task: for this kernel's vDSO where a task had another */
	struct timespec monotonic,
		boottime; /* clocks at the freeze (dump), or of the image (restore) */

	/* counters and times (microseconds) for stats-dump and stats-restore */
	struct {
		uint64_t freezing_us, frozen_us, memdump_us, memwrite_us, forking_us, restore_us;
		uint64_t pages_scanned, pages_skipped_parent, pages_written, pages_lazy, page_pipes,
			page_pipe_bufs;
		uint64_t shpages_scanned, shpages_skipped_parent, shpages_written;
		uint64_t pages_compared, pages_skipped_cow, pages_restored;
	} stats;
	bool failed; /* set before the undo functions run */
};

/* One step of a story. The loop in step.c times it, names it in the log, and on failure undoes the finished ones backwards. */
struct step {
	const char *name;
	int (*run)(struct op *op); /* 0, or -1 with the error logged */
	void (*undo)(
		struct
		op *op); /* NULL: nothing to undo. Called for finished steps, and for the failed one */
};
/*
 * SIGINT, SIGTERM and SIGHUP are blocked from here on, and make the story fail at the end of the step in which they come.
 * signals_release() ends that, when the tasks have been let go.
 */
void signals_release(void);
int steps_run(struct op *op, const struct step *steps, unsigned nr);
/* CRIU_FAULT=NAME[:before|:after]: true where the test wants a failure here. */
bool fault_here(const char *name, const char *when);
/* CRIU_FAULT=NAME:kill: SIGKILL, for us. Also after each step. */
void fault_kill(const char *name);

/*
 * A stage of a server, whose story is told by its clients, not by a table: it is what CALL is (negative: failed), or -1 where CRIU_FAULT wants that, before or after it.
 */
#define STAGE(story, name, call) stage_end(story, name, stage_begin(story, name) ? -1 : (call))
int stage_begin(const char *story, const char *name);
int stage_end(const char *story, const char *name, int ret);

#endif
