// SPDX-License-Identifier: GPL-2.0-only
/*
 * UNIX sockets, dump. Message: unix_sk_entry; `name` is the bound address with its terminating NUL (or leading NUL), name_dir
 * the directory that a relative path was bound in, peer the inode of the socket at the other end. What waits to be received
 * is in sk-queues.img (queue.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include "files/unix.h"
#include "util/io.h"
#include "util/log.h"

#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE 0x89E0
#endif

static bool unix_recognise(const struct fd_probe *p)
{
	int family;
	socklen_t len = sizeof(family);

	return S_ISSOCK(p->st.st_mode) && !strncmp(p->link, "socket:", 7) &&
	       !getsockopt(p->lfd, SOL_SOCKET, SO_DOMAIN, &family, &len) && family == AF_UNIX;
}

const char *unix_name(const UnixSkEntry *e)
{
	static char buf[200];
	const char *name = (const char *)e->name.data;

	if (!e->name.len)
		snprintf(buf, sizeof(buf), "UNIX socket %u", e->ino);
	else if (!name[0])
		snprintf(buf, sizeof(buf), "UNIX socket %u (@%.*s)", e->ino, (int)e->name.len - 1,
			 name + 1);
	else
		snprintf(buf, sizeof(buf), "UNIX socket %u (%.*s)", e->ino, (int)e->name.len, name);
	return buf;
}

/* The directory of a path socket: PATH ends with NAME. */
static char *name_dir(const char *path, const char *name)
{
	size_t len = strlen(path), n = strlen(name);
	char *dir;

	if (name[0] == '/' || len <= n || strcmp(path + len - n, name) || path[len - n - 1] != '/')
		return NULL;
	dir = xstrdup(path);
	if (dir)
		dir[len - n - (len - n > 1 ? 1 : 0)] = 0;
	return dir;
}

/* The file that a bound socket is: where it is, and whose. */
static int dump_bound_file(struct op *op, const struct fd_probe *p, UnixSkEntry *e)
{
	cleanup_close int fd = ioctl(p->lfd, SIOCUNIXFILE);
	cleanup_free char *path = NULL;
	struct stat st, there;
	char self[32];

	if (fd < 0 || fstat(fd, &st)) {
		pr_perror("Can't find the file of %s", probe_name(p));
		return -1;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	path = readlink_at(AT_FDCWD, self);
	if (!path)
		return -1;
	if (file_path_at(op, p->task, path, &there) || there.st_ino != st.st_ino ||
	    there.st_dev != st.st_dev) {
		char *mark = strstr(path, " (deleted)");

		if (mark)
			*mark = 0;
		e->has_deleted = e->deleted = true;
	}
	e->file_perms = NEW_MSG(FilePermsEntry, file_perms_entry);
	if (!e->file_perms)
		return -1;
	e->file_perms->mode = st.st_mode;
	e->file_perms->uid = st.st_uid;
	e->file_perms->gid = st.st_gid;
	e->name_dir = name_dir(path, (const char *)e->name.data);
	return 0;
}

/* The bound address: with the NUL that ends a path, as CRIU keeps it. */
static int dump_name(struct op *op, const struct fd_probe *p, UnixSkEntry *e)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	size_t n;

	if (getsockname(p->lfd, (struct sockaddr *)&a, &len)) {
		pr_perror("Can't get the address of %s", probe_name(p));
		return -1;
	}
	n = min(len, (socklen_t)sizeof(a)) - offsetof(struct sockaddr_un, sun_path);
	if (!n)
		return 0;
	if (a.sun_path[0])
		n = strnlen(a.sun_path, n) + 1;
	e->name.data = xzalloc(n + 1);
	if (!e->name.data)
		return -1;
	memcpy(e->name.data, a.sun_path, a.sun_path[0] ? n - 1 : n);
	e->name.len = n;
	return a.sun_path[0] ? dump_bound_file(op, p, e) : 0;
}

static int dump_state(struct op *op, const struct fd_probe *p, UnixSkEntry *e)
{
	struct diag *d = sockets_diag(op, p->task);
	const struct diag_socket *s = d ? diag_unix(d, p->st.st_ino) : NULL, *at;

	if (!s) {
		if (d && errno == ENOENT)
			pr_err("%s: the kernel does not list this UNIX socket", probe_name(p));
		return -1;
	}
	e->type = s->type;
	e->state = s->state;
	e->peer = s->peer;
	e->backlog = s->wqueue;
	if (s->shutdown) {
		e->has_shutdown = true;
		e->shutdown = s->shutdown;
	}
	/* connected, but not accepted yet: the other end has no inode; restore connects to the listening socket again */
	if (s->type == SOCK_DGRAM || s->state != TCP_ESTABLISHED || s->peer)
		return 0;
	at = diag_unix_waits_at(d, e->ino);
	if (at && s->wqueue) {
		pr_err("%s: data was sent into a connection that is not accepted yet: not "
		       "supported",
		       probe_name(p));
		return -1;
	}
	e->peer = at ? at->ino : 0;
	return 0;
}

static int unix_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	UnixSkEntry *e = f->entry->usk = NEW_MSG(UnixSkEntry, unix_sk_entry);

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	e->id = f->id;
	e->ino = p->st.st_ino;
	e->flags = p->flags;
	e->has_ns_id = socket_ns_id(p->task, &e->ns_id);
	if (!(e->opts = sockopts_dump(op, p, true)) || dump_name(op, p, e) ||
	    dump_state(op, p, e) || unix_remember(op, f))
		return -1;
	return e->state == TCP_LISTEN ? 0 : queue_dump(op, p, f, e->type == SOCK_STREAM);
}

/* --ext-unix-sk: a datagram socket may be connected to a named one that stays where it is. */
static int dump_external(struct op *op, struct diag *d, const UnixSkEntry *e)
{
	const struct diag_socket *s = diag_unix(d, e->peer);
	struct file *f;
	UnixSkEntry *x;

	if (!s || !s->name || e->type != SOCK_DGRAM) {
		pr_err("%s is connected to a socket (inode %u%s%s) outside of the tree: not "
		       "supported",
		       unix_name(e), e->peer, s && s->name ? ", " : "",
		       s && s->name ? s->name + !s->name[0] : "");
		return -1;
	}
	if (!opts.ext_unix_sk) {
		pr_err("%s is connected to %s%s outside of the tree: --ext-unix-sk connects it to "
		       "that again",
		       unix_name(e), s->name[0] ? "" : "@", s->name + !s->name[0]);
		return -1;
	}
	f = file_new(op, FD_TYPES__UNIXSK);
	x = f ? f->entry->usk = NEW_MSG(UnixSkEntry, unix_sk_entry) : NULL;
	if (!x || !(x->fown = NEW_MSG(FownEntry, fown_entry)) ||
	    !(x->opts = NEW_MSG(SkOptsEntry, sk_opts_entry)) ||
	    !(x->name.data = xzalloc(s->name_len + 1)))
		return -1;
	x->id = f->id;
	x->ino = s->ino;
	x->type = s->type;
	x->state = s->state;
	x->uflags = UNIX_EXTERNAL;
	memcpy(x->name.data, s->name, s->name_len);
	x->name.len = s->name_len + (s->name[0] ? 1 : 0);
	return unix_remember(op, f);
}

static int check_waiting(struct op *op, struct diag *d, const UnixSkEntry *e)
{
	const struct diag_socket *s = diag_unix(d, e->ino);

	for (size_t i = 0; s && i < s->nr_waiting; i++)
		if (!unix_by_ino(op, s->waiting[i]) && !opts.skip_in_flight) {
			pr_err("%s has a connection waiting to be accepted from outside of the "
			       "tree: --skip-in-flight drops it",
			       unix_name(e));
			return -1;
		}
	return 0;
}

static int unix_dump_all(struct op *op)
{
	struct diag *d = op->files->diag;
	size_t nr = op->files->nr;

	for (size_t i = 0; i < nr; i++) {
		UnixSkEntry *e = op->files->v[i]->entry->usk;

		if (!e || e->uflags & UNIX_EXTERNAL)
			continue;
		if (e->state == TCP_LISTEN && check_waiting(op, d, e))
			return -1;
		if (e->peer && !unix_by_ino(op, e->peer) && dump_external(op, d, e))
			return -1;
	}
	return queues_dump_all(op);
}

const struct file_kind unix_kind = {
	.name = "UNIX socket",
	.type = FD_TYPES__UNIXSK,
	.when = OPEN_WITH_TASKS,
	.recognise = unix_recognise,
	.dump = unix_dump,
	.dump_all = unix_dump_all,
	.collect = unix_collect,
	.open = unix_open,
	.opened = unix_opened,
	.finish = fown_finish,
	.free = unix_free,
};
