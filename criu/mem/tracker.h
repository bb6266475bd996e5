/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trackers: small processes that hold the userfaultfds of tasks between the links of a chain, since their write protection ends when the
 * last descriptor is closed. A tracker does nothing but wait until its tasks are gone.
 *
 * Nothing connects to it. It has a table, in a memfd at a fixed descriptor number, and the next criu takes table and
 * userfaultfds out with pidfd_getfd(2). The table says for which link the protection is right: the images that
 * carry the same run id. So a chain is followed only from its last link, wherever the directory was moved to.
 */
#ifndef CRIU_MEM_TRACKER_H
#define CRIU_MEM_TRACKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LINK_ID_LEN 40

struct tracker_task {
	int32_t pid;	     /* as criu sees it */
	int32_t uffd;	     /* its number in the tracker; -1: none (soft-dirty) */
	uint64_t start_time; /* of /proc/PID/stat: the pid may have been reused */
};

/* A tracker that was found. */
struct tracker {
	pid_t pid;
	int pidfd, table;	/* descriptors of ours */
	char link[LINK_ID_LEN]; /* "": the protection was changed and no link was completed */
	struct tracker_task *tasks;
	uint32_t nr_tasks;
};

/* All trackers on this system that hold a task of ours or others': *FOUND is to be freed by tracker_free_all(). -1: logged. */
int tracker_find_all(struct tracker **found, unsigned *nr);
void tracker_free_all(struct tracker *found, unsigned nr);
/* Does it have this task? */
const struct tracker_task *tracker_task(const struct tracker *t, pid_t pid, uint64_t start_time);
/* A copy of the task's userfaultfd. -1 with errno. */
int tracker_take(const struct tracker *t, const struct tracker_task *task);
/* What it knows is no longer right for any link. Before the protection is changed. -1 logged. */
int tracker_invalidate(struct tracker *t);
/* Ends it: the protection of its tasks goes with it, unless another holds copies. */
void tracker_kill(struct tracker *t);

/*
 * Starts a tracker for link LINK: TASKS[i].uffd are descriptors of ours, which stay open. ROOT is for its title. -1 logged.
 */
int tracker_start(const char *link, pid_t root, const struct tracker_task *tasks, uint32_t nr);

#endif
