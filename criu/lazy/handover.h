/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lazy-pages.socket: restore hands the userfaultfds of its tasks to the lazy-pages daemon and waits until the daemon is ready for
 * them to run. Both sides of it; who connects is restore. The protocol is CRIU's (Documentation/PROTOCOL.md).
 */
#ifndef CRIU_LAZY_HANDOVER_H
#define CRIU_LAZY_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct op;
struct task;

#define LAZY_SOCKET   "lazy-pages.socket"
#define LAZY_FINISHED 0x52535446U
/* What only our restore and our daemon say to each other: see Documentation/PROTOCOL.md. */
#define LAZY_OURS     0x5352554fU /* daemon, behind LAZY_FINISHED: tell me when they run */
#define LAZY_RELEASED 0x4c455352U /* restore: they do */
#define LAZY_DEADMAN  0x44454144U /* restore: a message with descriptors follows (lazy/deadman.h) */
#define LAZY_REFUSED \
	0x4f4e5352U /* daemon: the tasks must not run. The source was not asked, or has refused */
#define LAZY_STOPPED \
	1 /* in the byte that comes with a task's descriptors: it is, or shall be, in a job control stop */

/* ---- restore ---- */
/* Connects to the socket in op->work. The descriptor, or -1 logged (with how to start lazy-pages). */
int lazy_connect(struct op *op);
/* The same, with errno and nothing logged. */
int lazy_try_connect(int dirfd);
/*
 * VPID: in the image, the number of pagemap-VPID.img. PID: as restore sees it. The daemon gets its own copy of UFFD, and a pidfd, so that it can stop the
 * task when its pages cannot be had, and let it go where restore cannot. STOPPED: it is not to be let go. -1 logged.
 */
int lazy_send_task(int sock, pid_t vpid, pid_t pid, int uffd, bool stopped);
/*
 * Makes the userfaultfd of a task, while it may (before credentials and limits), and registers the areas with lazy pages, before anything can touch them: what
 * came into being until then would hide that the page is missing. Who touches one from now on waits until the daemon has the descriptor. -1: logged.
 */
int lazy_register(struct op *op, struct task *t);
/* Hands the descriptor to the daemon over SOCK. */
int lazy_hand_over(struct op *op, struct task *t, int sock);
/* A zombie: nothing to fill. */
int lazy_send_dead(int sock, pid_t pid);
/* All tasks are built and about to run: waits until the daemon (and the source, where it takes part in the commit) agrees. -1 logged: they must not run. */
int lazy_finish(int sock);
/* Is the daemon one of ours, which takes part in what comes after that? */
bool lazy_is_ours(void);
/* They run: the daemon need not see to that. */
void lazy_released(int sock);

/* ---- lazy-pages ---- */
/* Does nobody else serve the work directory DIRFD? 0; -1 logged. */
int lazy_alone(int dirfd);
/* Makes the socket in the work directory DIRFD, listening. A stale one is replaced, a live one is an error. -1 logged. */
int lazy_listen(int dirfd);

#endif
