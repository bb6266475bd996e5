// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "remote/fdpass.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "util/io.h"
#include "util/log.h"

int fd_steal(pid_t pid, int fd)
{
	cleanup_close int pidfd = syscall(__NR_pidfd_open, pid, 0);

	return pidfd < 0 ? -1 : syscall(__NR_pidfd_getfd, pidfd, fd, 0);
}

int fd_channel_open(struct puppet *p, struct fd_channel *c)
{
	uint64_t at;
	int *pair;

	*c = (struct fd_channel){ -1, -1, -1 };
	prog_reset(p);
	at = prog_data(p, 2 * sizeof(int), &pair);
	prog_add(p, RC_STOP, __NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, at);
	if (prog_run(p))
		return -1;
	c->remote = pair[0];
	c->other = pair[1];
	c->local = fd_steal(p->tid, c->other);
	if (c->local < 0) {
		pr_perror("Can't copy a descriptor of task %d (pidfd_getfd)", p->image_tid);
		fd_channel_close(p, c);
		return -1;
	}
	return 0;
}

int fd_channel_send(struct puppet *p, struct fd_channel *c, const int *fds, unsigned nr,
		    int *remote)
{
	struct {
		struct msghdr msg;
		struct iovec iov;
		char byte;
		char control[CMSG_SPACE(253 * sizeof(int))] __attribute__((aligned(8)));
	} * m;
	struct cmsghdr *hdr;
	uint64_t at;

	prog_reset(p);
	at = prog_data(p, sizeof(*m), &m);
	m->iov = (struct iovec){ (void *)(at + offsetof(__typeof__(*m), byte)), 1 };
	m->msg.msg_iov = (void *)(at + offsetof(__typeof__(*m), iov));
	m->msg.msg_iovlen = 1;
	m->msg.msg_control = (void *)(at + offsetof(__typeof__(*m), control));
	m->msg.msg_controllen = sizeof(m->control);
	if (send_fds(c->local, fds, nr, 0)) {
		pr_perror("Can't send %u descriptors to task %d", nr, p->image_tid);
		return -1;
	}
	prog_add(p, RC_STOP, __NR_recvmsg, c->remote, at, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (prog_run(p))
		return -1;
	hdr = (struct cmsghdr *)m->control;
	if ((m->msg.msg_flags & MSG_CTRUNC) || m->msg.msg_controllen < CMSG_LEN(nr * sizeof(int)) ||
	    hdr->cmsg_len != CMSG_LEN(nr * sizeof(int))) {
		pr_err("Task %d could not take %u descriptors: its limit of open files is reached",
		       p->image_tid, nr);
		return -1;
	}
	memcpy(remote, CMSG_DATA(hdr), nr * sizeof(int));
	return 0;
}

void fd_channel_close(struct puppet *p, struct fd_channel *c)
{
	prog_reset(p);
	if (c->remote >= 0)
		prog_add(p, 0, __NR_close, c->remote);
	if (c->other >= 0)
		prog_add(p, 0, __NR_close, c->other);
	prog_run(p);
	close_safe(&c->local);
	c->remote = c->other = -1;
}
