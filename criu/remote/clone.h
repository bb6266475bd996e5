/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making tasks: the root by criu, every other task and thread by its own parent's puppet, so that parentage, sessions and
 * copy-on-write sharing come out right by construction. Pids are chosen with clone3(2) set_tid.
 * All are traced with PTRACE_O_EXITKILL: where criu dies, nothing half-made stays behind.
 */
#ifndef CRIU_REMOTE_CLONE_H
#define CRIU_REMOTE_CLONE_H

#include "remote/puppet.h"

/*
 * A child of criu (of criu's parent with SIBLING) with pid VPID in its pid namespace, a new one with NEW_PIDNS. It has criu's memory,
 * the arena mapped, every signal at its default, and is in the stub. FLAGS: further CLONE_*. NULL: logged.
 */
struct puppet *puppet_clone_root(struct arena *arena, pid_t vpid, uint64_t flags);
/*
 * A child (or, with CLONE_THREAD, a thread) of PARENT with pid VPID (0: any), scratch area SLOT. EXIT_SIGNAL: SIGCHLD for children.
 * NULL: logged.
 */
struct puppet *puppet_clone(struct puppet *parent, pid_t vpid, unsigned slot, uint64_t flags,
			    int exit_signal);
/* restore: seccomp filters that P gets from now on work only once it has been let go. -1 logged. */
int puppet_suspend_seccomp(struct puppet *p);
/* Frees the bookkeeping; the thread is no puppet any more (restore: it has been let go, or ended). */
void puppet_forget(struct puppet *p);

#endif
