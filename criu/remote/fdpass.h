/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Descriptors into and out of puppets: a pair of UNIX sockets, one end in the task, one in criu (SCM_RIGHTS, unix(7));
 * pidfd_getfd(2) the other way.
 */
#ifndef CRIU_REMOTE_FDPASS_H
#define CRIU_REMOTE_FDPASS_H

#include "remote/puppet.h"

struct fd_channel {
	int local;  /* criu's end */
	int remote; /* number of the task's end */
	int other;  /* dump: the task's number of criu's end, closed at once; -1 */
};

/* dump: makes the pair in the puppet and takes one end. -1 logged (the task may have no descriptors left). */
int fd_channel_open(struct puppet *p, struct fd_channel *c);
/* Hands NR (<= 253) descriptors over; REMOTE[i] is the number each got in the task. -1 logged. */
int fd_channel_send(struct puppet *p, struct fd_channel *c, const int *fds, unsigned nr,
		    int *remote);
/* Closes both ends, the task's by a call of the puppet. */
void fd_channel_close(struct puppet *p, struct fd_channel *c);
/* A copy of the task's descriptor FD. -1 with errno, nothing logged. pidfd_getfd(2). */
int fd_steal(pid_t pid, int fd);

#endif
