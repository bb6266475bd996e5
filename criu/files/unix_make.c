// SPDX-License-Identifier: GPL-2.0-only
/*
 * UNIX sockets are made, connected and set to listen by the tasks that have them, under those tasks' ids: the kernel notes pid,
 * uid and gid at these calls, and shows them to the other end (SO_PEERCRED, unix(7)). criu takes a copy of each (pidfd_getfd) and does
 * the rest. What the tasks keep of them is closed before their tables are filled.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "files/unix.h"
#include "remote/fdpass.h"
#include "remote/puppet.h"
#include "util/log.h"

/* Effective ids are what counts; the saved ones let the puppet come back. */
static void become(struct puppet *p, const CredsEntry *c)
{
	if (c && c->egid)
		prog_add(p, RC_STOP, __NR_setresgid, -1, c->egid, -1);
	if (c && c->euid)
		prog_add(p, RC_STOP, __NR_setresuid, -1, c->euid, -1);
}

static void come_back(struct puppet *p, const CredsEntry *c)
{
	if (c && c->euid)
		prog_add(p, RC_STOP, __NR_setresuid, -1, 0, -1);
	if (c && c->egid)
		prog_add(p, RC_STOP, __NR_setresgid, -1, 0, -1);
}

static const CredsEntry *creds_of(struct task *t)
{
	CoreEntry *core = leader(t)->core;

	return core && core->thread_core ? core->thread_core->creds : NULL;
}

/* One call in the name of F's holder. Its result; -EIO: the puppet is gone, logged. */
#define call_as(f, nr, ...)                                       \
	({                                                        \
		struct puppet *__p = leader((f)->holder)->puppet; \
		const CredsEntry *__c = creds_of((f)->holder);    \
		int __call;                                       \
		become(__p, __c);                                 \
		__call = prog_add(__p, 0, nr, __VA_ARGS__);       \
		come_back(__p, __c);                              \
		prog_run(__p) ? -EIO : prog_ret(__p, __call);     \
	})

static bool has_maker(const struct file *f)
{
	return f->holder && leader(f->holder)->puppet;
}

static int take(struct file *f, int remote)
{
	int fd = fd_steal(leader(f->holder)->puppet->tid, remote);

	if (fd < 0)
		pr_perror("Can't take a socket from task %d", f->holder->vpid);
	return fd;
}

int unix_make_socket(struct file *f)
{
	struct unix_sock *s = f->priv;
	long ret;

	s->remote = -1;
	if (!has_maker(f) || f->entry->usk->type == SOCK_DGRAM) {
		f->fd = socket(AF_UNIX, f->entry->usk->type | SOCK_CLOEXEC, 0);
	} else {
		ret = puppet_call(leader(f->holder)->puppet, __NR_socket, AF_UNIX,
				  f->entry->usk->type | SOCK_CLOEXEC, 0);
		errno = ret < 0 ? -ret : 0;
		s->remote = ret < 0 ? -1 : ret;
		f->fd = ret < 0 ? -1 : take(f, ret);
	}
	if (f->fd < 0)
		pr_perror("Can't make %s", unix_name(f->entry->usk));
	return f->fd < 0 ? -1 : 0;
}

int unix_make_pair(struct file *f, int pair[2])
{
	int type = f->entry->usk->type | SOCK_CLOEXEC, *there;
	struct puppet *p;
	uint64_t at;
	long ret;

	if (!has_maker(f)) {
		if (!socketpair(AF_UNIX, type, 0, pair))
			return 0;
		pr_perror("Can't make %s and its peer", unix_name(f->entry->usk));
		return -1;
	}
	p = leader(f->holder)->puppet;
	prog_reset(p);
	at = prog_data(p, 2 * sizeof(int), &there);
	ret = call_as(f, __NR_socketpair, AF_UNIX, type, 0, at);
	if (ret < 0) {
		errno = -ret;
		pr_perror("Can't make %s and its peer", unix_name(f->entry->usk));
		return -1;
	}
	pair[0] = take(f, there[0]);
	pair[1] = pair[0] < 0 ? -1 : take(f, there[1]);
	return pair[1] < 0 ? -1 : 0;
}

int unix_make_listening(struct file *f)
{
	struct unix_sock *s = f->priv;
	UnixSkEntry *e = f->entry->usk;
	long ret;

	if (s->remote < 0) {
		ret = listen(f->fd, e->backlog) ? -errno : 0;
	} else {
		prog_reset(leader(f->holder)->puppet);
		ret = call_as(f, __NR_listen, s->remote, e->backlog);
	}
	if (ret >= 0)
		return 0;
	errno = -ret;
	pr_perror("Can't listen on %s", unix_name(e));
	return -1;
}

/* As bytes that mean the same from any directory. 0: too long for that. */
static socklen_t absolute_address(const UnixSkEntry *e, struct sockaddr_un *a)
{
	socklen_t len = unix_address(e, a);

	if (!e->name.len || !e->name.data[0] || e->name.data[0] == '/' || !e->name_dir)
		return len;
	if (snprintf(a->sun_path, sizeof(a->sun_path), "%s/%s", e->name_dir, e->name.data) >=
	    (int)sizeof(a->sun_path))
		return 0;
	return sizeof(*a);
}

int unix_make_connection(struct file *f, const UnixSkEntry *to)
{
	struct unix_sock *s = f->priv;
	struct sockaddr_un a;
	socklen_t len = absolute_address(to, &a);
	struct puppet *p;
	long ret;
	int c;

	if (s->remote < 0 || !len)
		return 1;
	p = leader(f->holder)->puppet;
	prog_reset(p);
	ret = call_as(f, __NR_connect, s->remote, prog_buf(p, &a, sizeof(a)), len);
	if (ret == -EACCES) { /* the way may be closed to the task by now */
		prog_reset(p);
		c = prog_add(p, 0, __NR_connect, s->remote, prog_buf(p, &a, sizeof(a)), len);
		ret = prog_run(p) ? -EIO : prog_ret(p, c);
	}
	if (ret >= 0)
		return 0;
	errno = -ret;
	pr_perror("Can't connect UNIX socket %u to %s again", f->entry->usk->ino, unix_name(to));
	return -1;
}
