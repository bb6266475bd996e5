/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel does when all of lazy-pages is killed at once: it stops the tasks (SIGSTOP) before it gives them zeros.
 *
 * The daemon's table of descriptors has, besides the userfaultfds, the write end of a pipe, and for each task and each of its threads a read end that is to send it SIGSTOP when
 * something happens to the pipe (F_SETOWN, F_SETSIG and O_ASYNC, fcntl(2)). When the last process that has the table dies, the kernel closes what is in it. The write
 * end has the highest number and goes first: the tasks get their signal. Then come a few that take their time. When it is the turn
 * of the userfaultfds, and who waits for a page gets zeros, no task runs any more.
 *
 * restore makes it, since it knows the tasks by their pids, and gives it to the daemon when it has let them go.
 */
#ifndef CRIU_LAZY_DEADMAN_H
#define CRIU_LAZY_DEADMAN_H

#include "op.h"

/* ---- restore ---- */
/* The descriptors for the tasks of OP, the write end first: *FDS (malloc'ed), *NR. -1 logged. */
int deadman_make(struct op *op, int **fds, unsigned *nr);
/* Hands them over, and closes them. An error is no more than a warning. */
void deadman_send(int sock, int *fds, unsigned nr);

/* ---- lazy-pages ---- */
/* Before there are several processes: a large table of descriptors is made in no time then, and in 15 ms later. */
void deadman_reserve(void);
/* Takes one message of them from SOCK. -1 logged. */
int deadman_take(int sock);
/* The daemon has come to its end in good order. The caller has a table of its own afterwards, and need not wait for who shared it. */
void deadman_off(void);

#endif
