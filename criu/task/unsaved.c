// SPDX-License-Identifier: GPL-2.0-only
/*
 * What images have no place for: processors (sched_setaffinity(2)), I/O priority (ioprio_set(2)), timer slack, which memory goes into a
 * core file (core(5)), merging of all memory (PR_SET_MEMORY_MERGE). A restored task has criu's. dump warns of what differs.
 */
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "task/parts.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#ifndef PR_GET_MEMORY_MERGE /* Linux 6.4 */
#define PR_GET_MEMORY_MERGE 68
#endif

void unsaved_ask(struct part *w)
{
	w->slack_call = prog_add(w->p, 0, __NR_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0);
	w->merge_call = prog_add(w->p, 0, __NR_prctl, PR_GET_MEMORY_MERGE, 0, 0, 0, 0);
}

/* Once for all threads of a task. */
static void warn(const struct part *w, unsigned nr, const char *what)
{
	if (w->t->warned & 1 << nr)
		return;
	w->t->warned |= 1 << nr;
	pr_warn("task %d, thread %d: %s: not saved, a restored task has criu's", w->t->vpid,
		w->th->vtid, what);
}

static bool same_ioprio(pid_t tid)
{
	return syscall(__NR_ioprio_get, IOPRIO_WHO_PROCESS, tid) ==
	       syscall(__NR_ioprio_get, IOPRIO_WHO_PROCESS, 0);
}

static bool same_filter(struct part *w)
{
	char path[64];
	cleanup_free char *its = read_file_at(part_proc(w->t),
					      part_path(w, "coredump_filter", path), NULL),
			  *ours = read_file_at(AT_FDCWD, "/proc/self/coredump_filter", NULL);

	return !its || !ours || !strcmp(its, ours);
}

void unsaved_told(struct part *w)
{
	if (!puppet_has_our_cpus(w->th->tid))
		warn(w, 0, "its processors (CPU affinity)");
	if (!same_ioprio(w->th->tid))
		warn(w, 1, "its I/O priority");
	if (prog_ret(w->p, w->slack_call) != prctl(PR_GET_TIMERSLACK))
		warn(w, 2, "its timer slack");
	if (!w->leader)
		return;
	if (!same_filter(w))
		warn(w, 3, "what a core file of it holds (coredump_filter)");
	if (prog_ret(w->p, w->merge_call) == 1)
		warn(w, 4, "that all its memory may be merged (PR_SET_MEMORY_MERGE)");
}
