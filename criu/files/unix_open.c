// SPDX-License-Identifier: GPL-2.0-only
/*
 * UNIX sockets, restore. Pairs are made by socketpair(2); where one end has the name of a listening socket it was accepted there,
 * and is made by connecting to that one again, so that getsockname(2) and getpeername(2) stay as they were. When all sockets are
 * there: datagram sockets are connected, connections that were not accepted yet are begun, queues are filled,
 * halves shut down; options come last, since some of them (buffer sizes) would be in the way.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "files/unix.h"
#include "util/hash.h"
#include "util/io.h"
#include "util/log.h"

#define QUEUE_BUFFER (8 << 20) /* while queues are filled */

struct node {
	uint32_t ino;
	struct file *f;
	UT_hash_handle hh;
};

struct listener { /* by name: who can have accepted a connection */
	char name[sizeof(struct sockaddr_un)];
	size_t len;
	struct file *f;
	UT_hash_handle hh;
};

struct unix_socks {
	struct node *by_ino;
	struct listener *listeners;
};

static struct unix_socks *socks(struct op *op)
{
	if (!op->files->unix_socks)
		op->files->unix_socks = xzalloc(sizeof(struct unix_socks));
	return op->files->unix_socks;
}

int unix_remember(struct op *op, struct file *f)
{
	struct unix_socks *us = socks(op);
	struct node *n = us ? xzalloc(sizeof(*n)) : NULL;

	if (!n)
		return -1;
	n->ino = f->entry->usk->ino;
	n->f = f;
	HASH_ADD(hh, us->by_ino, ino, sizeof(n->ino), n);
	if (hash_added(n))
		return 0;
	free(n);
	return -1;
}

struct file *unix_by_ino(struct op *op, uint32_t ino)
{
	struct unix_socks *us = socks(op);
	struct node *n = NULL;

	if (us)
		HASH_FIND(hh, us->by_ino, &ino, sizeof(ino), n);
	return n ? n->f : NULL;
}

void unix_free(struct op *op)
{
	struct unix_socks *us = op->files->unix_socks;
	struct node *n, *next;
	struct listener *l, *lnext;

	if (!us)
		return;
	HASH_ITER (hh, us->by_ino, n, next) {
		struct unix_sock *s = n->f->priv;

		if (s)
			close_safe(&s->other);
		HASH_DEL(us->by_ino, n);
		free(n);
	}
	HASH_ITER (hh, us->listeners, l, lnext) {
		HASH_DEL(us->listeners, l);
		free(l);
	}
	free(us);
	op->files->unix_socks = NULL;
}

/* ---- addresses ---- */

static bool is_path(const UnixSkEntry *e)
{
	return e->name.len && e->name.data[0];
}

socklen_t unix_address(const UnixSkEntry *e, struct sockaddr_un *a)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, e->name.data, min(e->name.len, sizeof(a->sun_path)));
	return offsetof(struct sockaddr_un, sun_path) + min(e->name.len, sizeof(a->sun_path));
}

/* Relative names mean something in a directory only: goes there. The way back, -1 where none is needed, -2: logged. */
static int enter_dir(const UnixSkEntry *e)
{
	int back;

	if (!is_path(e) || e->name.data[0] == '/' || !e->name_dir)
		return -1;
	back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (back < 0 || chdir(e->name_dir)) {
		pr_perror("Can't enter %s, where %s was bound", e->name_dir, unix_name(e));
		close_safe(&back);
		return -2;
	}
	return back;
}

static int leave_dir(int back)
{
	int ret = back >= 0 ? fchdir(back) : 0;

	if (ret)
		pr_perror("Can't go back to criu's directory");
	close_safe(&back);
	return ret;
}

/* What a dead socket left in the file system is in bind's way. */
static int make_way(const UnixSkEntry *e, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		pr_err("Can't bind %s: something else is at this path", unix_name(e));
		return -1;
	}
	return unlink(path);
}

/* 0, 1 where the name cannot be had, -1 logged. */
static int bind_here(const UnixSkEntry *e, int fd)
{
	const char *path = (const char *)e->name.data;
	struct sockaddr_un a;
	socklen_t len = unix_address(e, &a);
	struct stat st;

	if (is_path(e) && e->deleted && !lstat(path, &st)) {
		pr_warn("%s loses its name: it was unlinked, and another file has it now",
			unix_name(e));
		return 1;
	}
	if (is_path(e) && make_way(e, path))
		return -1;
	if (bind(fd, (struct sockaddr *)&a, len)) {
		pr_perror("Can't bind %s again", unix_name(e));
		return -1;
	}
	if (is_path(e) && e->file_perms &&
	    (chmod(path, e->file_perms->mode & 07777) ||
	     chown(path, e->file_perms->uid, e->file_perms->gid))) {
		pr_perror("Can't set owner and mode of %s", path);
		return -1;
	}
	return 0;
}

static int bind_socket(struct file *f)
{
	const UnixSkEntry *e = f->entry->usk;
	struct unix_sock *s = f->priv;
	int back, ret;

	if (!e->name.len || s->bound)
		return 0;
	back = enter_dir(e);
	if (back == -2)
		return -1;
	ret = bind_here(e, f->fd);
	s->bound = !ret;
	return leave_dir(back) || ret < 0 ? -1 : 0;
}

static int connect_to(const UnixSkEntry *from, int fd, const UnixSkEntry *to)
{
	struct sockaddr_un a;
	socklen_t len = unix_address(to, &a);
	int back = enter_dir(to), ret;

	if (back == -2)
		return -1;
	ret = connect(fd, (struct sockaddr *)&a, len);
	if (ret)
		pr_perror("Can't connect UNIX socket %u to %s again", from->ino, unix_name(to));
	return leave_dir(back) || ret ? -1 : 0;
}

static int connect_file(struct file *f, const UnixSkEntry *to)
{
	int ret = unix_make_connection(f, to);

	return ret > 0 ? connect_to(f->entry->usk, f->fd, to) : ret;
}

/* ---- collect ---- */

static int add_listener(struct op *op, struct file *f)
{
	const UnixSkEntry *e = f->entry->usk;
	struct unix_socks *us = socks(op);
	struct listener *l = us ? xzalloc(sizeof(*l)) : NULL;

	if (!l)
		return -1;
	memcpy(l->name, e->name.data, e->name.len);
	l->len = e->name.len;
	l->f = f;
	HASH_ADD_KEYPTR(hh, us->listeners, l->name, l->len, l);
	if (hash_added(l))
		return 0;
	free(l);
	return -1;
}

static struct file *listener_of(struct op *op, const UnixSkEntry *e)
{
	struct unix_socks *us = socks(op);
	struct listener *l = NULL;

	if (us && e->name.len)
		HASH_FIND(hh, us->listeners, e->name.data, e->name.len, l);
	return l && l->f->entry->usk->type == e->type ? l->f : NULL;
}

int unix_collect(struct op *op)
{
	for (size_t i = 0; i < op->files->nr; i++) {
		struct file *f = op->files->v[i];
		UnixSkEntry *e = f->entry->usk;
		struct unix_sock *s;

		if (!e)
			continue;
		if (e->name.len > sizeof(((struct sockaddr_un *)0)->sun_path) + 1) {
			pr_err("files.img: the name of UNIX socket %u is too long", e->id);
			return -1;
		}
		s = f->priv = xzalloc(sizeof(*s));
		if (!s || unix_remember(op, f))
			return -1;
		s->other = s->remote = -1;
		if (e->state == TCP_LISTEN && add_listener(op, f))
			return -1;
		/* a pair is opened as a whole, also where only one end is held by a task (the other may be in flight) */
	}
	for (size_t i = 0; i < op->files->nr; i++) {
		UnixSkEntry *e = op->files->v[i]->entry->usk;

		if (e && e->peer && !unix_by_ino(op, e->peer)) {
			pr_err("files.img: %s has a peer %u that is not there", unix_name(e),
			       e->peer);
			return -1;
		}
	}
	return queues_collect(op);
}

/* ---- open ---- */

static int open_listener(struct file *f)
{
	return unix_make_socket(f) || bind_socket(f) || unix_make_listening(f) ? -1 : 0;
}

/* Can the listening socket AT be connected to? It is opened for that. 1 or 0, -1 logged. */
static int is_reachable(struct file *at)
{
	if (at && at->fd < 0 && open_listener(at))
		return -1;
	return at && ((struct unix_sock *)at->priv)->bound;
}

/* SERVER was accepted at AT from CLIENT. */
static int open_accepted(struct file *at, struct file *server, struct file *client)
{
	struct unix_sock *s = server->priv;

	if (unix_make_socket(client) || bind_socket(client) || connect_file(client, at->entry->usk))
		return -1;
	server->fd = TEMP_FAILURE_RETRY(accept4(at->fd, NULL, NULL, SOCK_CLOEXEC));
	if (server->fd < 0) {
		pr_perror("Can't accept %s again", unix_name(server->entry->usk));
		return -1;
	}
	s->bound = true;
	return 0;
}

static int open_pair(struct op *op, struct file *f, struct file *peer)
{
	struct file *at = listener_of(op, f->entry->usk),
		    *peer_at = listener_of(op, peer->entry->usk);
	int p[2], ret = is_reachable(at);

	if (ret)
		return ret < 0 ? -1 : open_accepted(at, f, peer);
	ret = is_reachable(peer_at);
	if (ret)
		return ret < 0 ? -1 : open_accepted(peer_at, peer, f);
	if (unix_make_pair(f, p))
		return -1;
	f->fd = p[0];
	peer->fd = p[1];
	return bind_socket(f) || bind_socket(peer) ? -1 : 0;
}

/* The peer is gone, but what it sent is still there. */
static int open_half(struct file *f)
{
	struct unix_sock *s = f->priv;
	int p[2];

	if (unix_make_pair(f, p))
		return -1;
	f->fd = p[0];
	s->other = p[1];
	return bind_socket(f);
}

int unix_open(struct op *op, struct file *f)
{
	UnixSkEntry *e = f->entry->usk;
	struct file *peer = e->peer ? unix_by_ino(op, e->peer) : NULL;

	if (e->uflags & UNIX_EXTERNAL)
		return 0;
	if (e->state == TCP_LISTEN)
		return open_listener(f);
	if (peer && peer->entry->usk->peer == e->ino && peer->fd < 0)
		return open_pair(op, f, peer);
	if (!peer && (e->type == SOCK_DGRAM ? !e->name.len && queue_has(op, e->id)
					    : e->state == TCP_ESTABLISHED))
		return open_half(f);
	return unix_make_socket(f) || bind_socket(f) ? -1 : 0;
}

/* ---- when all are open ---- */

/* Connections by name: datagrams to whom they are sent, and those that wait to be accepted. */
static int connect_by_name(struct op *op, struct file *f)
{
	UnixSkEntry *e = f->entry->usk, *to;
	struct file *peer = e->peer ? unix_by_ino(op, e->peer) : NULL;

	if (!peer || peer->entry->usk->peer == e->ino)
		return 0;
	to = peer->entry->usk;
	if (!to->name.len) {
		pr_err("%s is connected to a socket without a name, which is not connected to it: "
		       "not supported",
		       unix_name(e));
		return -1;
	}
	return connect_file(f, to);
}

/* Through its peer, or a passer-by. */
static int fill_queue(struct op *op, struct file *f)
{
	UnixSkEntry *e = f->entry->usk;
	struct unix_sock *s = f->priv;
	struct file *peer = e->peer ? unix_by_ino(op, e->peer) : NULL;
	cleanup_close int fresh = -1;
	int from = -1, big = QUEUE_BUFFER;

	if (!queue_has(op, e->id))
		return 0;
	if (s->other >= 0)
		from = s->other;
	else if (peer && peer->entry->usk->peer == e->ino)
		from = peer->fd;
	if (from < 0) {
		fresh = from = socket(AF_UNIX, e->type | SOCK_CLOEXEC, 0);
		if (from < 0 || !e->name.len) {
			pr_err("Can't fill the queue of %s: nobody can send to it", unix_name(e));
			return -1;
		}
		if (connect_to(e, from, e))
			return -1;
	}
	setsockopt(from, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	return queue_send(op, e->id, from);
}

static int settle(struct file *f)
{
	UnixSkEntry *e = f->entry->usk;
	struct unix_sock *s = f->priv;
	char what[256];

	close_safe(&s->other);
	/* a half whose peer closed is shut down both ways by that */
	if (e->has_shutdown && e->shutdown && e->peer && shutdown(f->fd, e->shutdown - 1)) {
		pr_perror("Can't shut down %s again", unix_name(e));
		return -1;
	}
	snprintf(what, sizeof(what), "%s", unix_name(e));
	sockopts_more_restore(f->fd, e->opts, what);
	return sockopts_restore(f->fd, e->opts, what) || fd_restore_flags(f->fd, e->flags) ? -1 : 0;
}

/* Names that were unlinked were there for connecting only. */
static int unlink_name(struct file *f)
{
	UnixSkEntry *e = f->entry->usk;
	struct unix_sock *s = f->priv;
	int back;

	if (!e->deleted || !is_path(e) || !s->bound)
		return 0;
	back = enter_dir(e);
	if (back == -2)
		return -1;
	if (unlink((const char *)e->name.data) && errno != ENOENT)
		pr_warn("Can't unlink the name of %s: %s", unix_name(e), strerror(errno));
	return leave_dir(back);
}

int unix_opened(struct op *op)
{
	struct unix_socks *us = socks(op);

	if (!us)
		return -1;
	for (struct node *n = us->by_ino; n; n = n->hh.next)
		if (n->f->fd >= 0 && connect_by_name(op, n->f))
			return -1;
	for (struct node *n = us->by_ino; n; n = n->hh.next)
		if (n->f->fd >= 0 && fill_queue(op, n->f))
			return -1;
	for (struct node *n = us->by_ino; n; n = n->hh.next)
		if (n->f->fd >= 0 && (settle(n->f) || unlink_name(n->f)))
			return -1;
	return 0;
}
