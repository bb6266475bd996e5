/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lazy-pages survives its own death. When the last descriptor of a userfaultfd closes, the kernel gives the task zeros for what is missing: so
 * three processes share one table of descriptors (CLONE_FILES), in which every userfaultfd is, also one that a fork has just made.
 *
 *   worker  does everything. What the next one has to know is in the journal.
 *   main    (the process that was started) waits for the worker's end: starts another where it was killed or lost its server.
 *   guard   waits for main's end, and takes its place. Main waits for the guard's end too, and starts another.
 *
 * Any one, and any two at once, may be killed with SIGKILL at any instant. When all three are, the tasks are stopped (deadman.h).
 */
#ifndef CRIU_LAZY_SUPERVISE_H
#define CRIU_LAZY_SUPERVISE_H

#include "lazy/lazyd.h"

enum { WORKER_DIED = -1, WORKER_DONE, WORKER_FAILED, WORKER_LOST };

/*
 * Runs WORK in workers until one is done. WORK gets AGAIN, what it returns (WORKER_*) is its end. The exit status of the daemon.
 */
int supervise(struct lazyd *d, int (*work)(struct lazyd *d, bool again));

/* lazy-pages --resume: tells the daemon of this work directory, which has stopped its tasks, where the server is now. Exit status. */
int supervise_resume(void);
/* A client on lazy-pages.socket that is not a restore. */
#define LAZY_RESUME 0x4d555352U

#endif
