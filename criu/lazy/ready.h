/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the servers (page-server, lazy-pages, dump --lazy-pages) do when they can serve, and how they notice that they shall end.
 */
#ifndef CRIU_LAZY_READY_H
#define CRIU_LAZY_READY_H

#include <pthread.h>
#include <stdbool.h>

/* --daemon: goes to the background. Before any thread or ptrace attachment exists. -1 logged. */
int server_daemonize(void);
/* Writes --pidfile, and the byte to --status-fd, which is closed. -1 logged. */
int server_ready(void);
/* The byte to --status-fd alone. */
int status_ready(void);
/*
 * SIGINT, SIGTERM and SIGHUP are blocked from now on and arrive on the returned descriptor (signalfd(2)). -1 logged.
 */
int server_signals(void);
/* Without us tasks cannot go on: others end before us when memory is short. Where that is not permitted, nothing happens. */
void server_outlives_oom(void);

/*
 * What the scheduler is told of the calling thread. One that only answers faults has little to do, and somebody waits for it: it becomes a
 * real-time one. One that moves everything else takes many short turns: 0.1 ms instead of some 3 ms, so that a task whose page has just
 * come need not wait for the end of a long one (sched_setattr(2); kernels before 6.12 ignore it).
 */
void thread_answers_fast(void);
void thread_takes_turns(void);
/* A lock between the two kinds: who holds it inherits the priority of who waits for it. */
void fair_mutex(pthread_mutex_t *m);

#endif
