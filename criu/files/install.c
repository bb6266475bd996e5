// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors into tasks. criu sends them over a UNIX socket; the kernel gives each the lowest free number of the
 * task's table, which criu can foresee: it knows the whole table. Targets are taken in ascending order. Then a descriptor lands
 * at or below its target, never on a number that a later one wants, and those that landed below are moved up from the last to
 * the first, each to a number that is free by then.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "files/table.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/log.h"

#define BATCH 253 /* SCM_MAX_FD */

int files_free_slot(struct op *op, struct task *t)
{
	struct task *o = table_owner(op, t);
	long limit = sysconf(_SC_OPEN_MAX);
	uint32_t above = 3, slot;

	if (o->nr_fds && o->fds[o->nr_fds - 1]->fd >= above)
		above = o->fds[o->nr_fds - 1]->fd + 1;
	if (above < limit - 16)
		return above;
	/* the table reaches to the limit: the highest gap that leaves room below */
	slot = limit - 1;
	for (size_t i = o->nr_fds; i-- > 0 && o->fds[i]->fd >= slot;)
		slot = o->fds[i]->fd - 1;
	return slot;
}

void install_landings(FdinfoEntry *const *fds, size_t done, size_t nr, int sock, int *landings)
{
	size_t k = 0;
	int n = 0;

	for (size_t i = 0; i < nr; n++) {
		while (k < done && (int)fds[k]->fd < n)
			k++;
		if (n == sock || (k < done && (int)fds[k]->fd == n))
			continue;
		landings[i++] = n;
	}
}

/* recvmsg of NR descriptors with one byte. */
static void add_recvmsg(struct puppet *p, int sock, unsigned nr)
{
	struct iovec *iov;
	struct msghdr *msg;
	uint64_t iov_at = prog_data(p, sizeof(*iov), &iov),
		 msg_at = prog_data(p, sizeof(*msg), &msg);
	void *control;

	iov->iov_base = (void *)prog_data(p, 1, &control);
	iov->iov_len = 1;
	msg->msg_iov = (void *)iov_at;
	msg->msg_iovlen = 1;
	msg->msg_control = (void *)prog_data(p, CMSG_SPACE(nr * sizeof(int)), &control);
	msg->msg_controllen = CMSG_SPACE(nr * sizeof(int));
	prog_add(p, RC_STOP, __NR_recvmsg, sock, msg_at, 0);
}

int install_fd(struct op *op, struct task *t, int fd)
{
	struct install *in = &op->files->install;
	struct puppet *p = leader(t)->puppet;
	struct iovec *iov;
	struct msghdr *msg;
	struct cmsghdr *c;
	uint64_t iov_at, msg_at;
	void *room, *control;
	int there;

	if (send_fds(in->local, &fd, 1, 0)) {
		pr_perror("Can't send a descriptor to task %d", t->vpid);
		return -1;
	}
	prog_reset(p);
	iov_at = prog_data(p, sizeof(*iov), &iov);
	msg_at = prog_data(p, sizeof(*msg), &msg);
	iov->iov_base = (void *)prog_data(p, 1, &room);
	iov->iov_len = 1;
	msg->msg_iov = (void *)iov_at;
	msg->msg_iovlen = 1;
	msg->msg_control = (void *)prog_data(p, CMSG_SPACE(sizeof(int)), &control);
	msg->msg_controllen = CMSG_SPACE(sizeof(int));
	prog_add(p, RC_STOP, __NR_recvmsg, in->remote, msg_at, 0);
	if (prog_run(p))
		return -1;
	c = control;
	if (msg->msg_controllen < CMSG_LEN(sizeof(int)) || c->cmsg_type != SCM_RIGHTS) {
		pr_err("Task %d got no descriptor (its limit of open files may be too low)",
		       t->vpid);
		return -1;
	}
	memcpy(&there, CMSG_DATA(c), sizeof(there));
	return there;
}

/* Puts descriptors FROM..FROM+NR of T's table in place. */
static int install_batch(struct op *op, struct task *t, size_t from, unsigned nr)
{
	struct install *in = &op->files->install;
	struct puppet *p = leader(t)->puppet;
	int fds[BATCH], landings[BATCH];

	for (unsigned i = 0; i < nr; i++)
		fds[i] = file_by_id(op, t->fds[from + i]->id)->fd;
	install_landings(t->fds, from, nr, in->remote, landings);
	if (send_fds(in->local, fds, nr, 0)) {
		pr_perror("Can't send %u descriptors to task %d", nr, t->vpid);
		return -1;
	}
	prog_reset(p);
	add_recvmsg(p, in->remote, nr);
	for (unsigned i = nr; i-- > 0;) {
		const FdinfoEntry *e = t->fds[from + i];

		if (landings[i] != (int)e->fd) {
			prog_add(p, RC_STOP, __NR_dup3, landings[i], e->fd,
				 e->flags & FD_CLOEXEC ? O_CLOEXEC : 0);
			prog_add(p, RC_STOP, __NR_close, landings[i]);
		} else if (e->flags & FD_CLOEXEC) {
			prog_add(p, RC_STOP, __NR_fcntl, e->fd, F_SETFD, FD_CLOEXEC);
		}
	}
	return prog_run(p);
}

/* What only a task can do for its descriptors, once per description. */
static int finish_all(struct op *op, struct task *t)
{
	for (size_t i = 0; i < t->nr_fds; i++) {
		struct file *f = file_by_id(op, t->fds[i]->id);

		if (f->finished || !f->kind->finish)
			continue;
		f->finished = true;
		if (f->kind->finish(op, t, f, t->fds[i]->fd))
			return -1;
	}
	return locks_install(op, t);
}

/* Descriptions that tasks help to make. T's table holds nothing but the socket before and after. */
static int open_late(struct op *op, struct task *t, int sock)
{
	struct puppet *p = leader(t)->puppet;

	if (op->files->opened_late)
		return 0;
	op->files->opened_late = true;
	if (files_open_late(op))
		return -1;
	prog_reset(p);
	if (sock)
		prog_add(p, RC_STOP, __NR_close_range, 0, sock - 1, 0);
	prog_add(p, RC_STOP, __NR_close_range, sock + 1, ~0U, 0);
	return prog_run(p);
}

int files_install(struct op *op, struct task *t, int local_sock, int sock_fd)
{
	struct task *o;

	if (table_owner(op, t) != t)
		return 0;
	op->files->install = (struct install){ t, local_sock, sock_fd };
	if (open_late(op, t, sock_fd))
		return -1;
	for (size_t i = 0; i < t->nr_fds; i += BATCH)
		if (install_batch(op, t, i, min(t->nr_fds - i, (size_t)BATCH)))
			return -1;
	if (finish_all(op, t))
		return -1;
	for_each_live_task (o, op)
		if (table_owner(op, o) == t && (ttys_install(op, o) || fs_install(op, o)))
			return -1;
	prog_reset(leader(t)->puppet);
	prog_add(leader(t)->puppet, RC_STOP, __NR_close, sock_fd);
	return prog_run(leader(t)->puppet);
}
