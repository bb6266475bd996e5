// SPDX-License-Identifier: GPL-2.0-only
#include "net/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sched.h>
#include <sys/socket.h>

#include "util/hash.h"
#include "util/log.h"
#include "util/xmalloc.h"

struct node {
	struct diag_socket s;
	UT_hash_handle hh;
};

struct read_already { /* what was asked for already */
	int family, proto;
};

struct diag {
	int netns;
	struct node *sockets; /* by inode: one number space for all families */
	struct read_already done[16];
	unsigned nr_done;
};

struct diag *diag_new(int netns)
{
	struct diag *d = xzalloc(sizeof(*d));

	if (d)
		d->netns = netns >= 0 ? fcntl(netns, F_DUPFD_CLOEXEC, 0) : -1;
	return d;
}

static void socket_free(struct diag_socket *s)
{
	free(s->name);
	free(s->waiting);
}

void diag_free(struct diag *d)
{
	struct node *n, *next;

	if (!d)
		return;
	HASH_ITER (hh, d->sockets, n, next) {
		HASH_DEL(d->sockets, n);
		socket_free(&n->s);
		free(n);
	}
	close_safe(&d->netns);
	free(d);
}

bool diag_parse_unix(struct nlmsghdr *h, struct diag_socket *s)
{
	struct nlattr *a[UNIX_DIAG_MAX + 1];
	struct unix_diag_msg *m = nlmsg_data(h);

	*s = (struct diag_socket){ 0 };
	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    nlmsg_parse(h, sizeof(*m), a, UNIX_DIAG_MAX, NULL) < 0)
		return false;
	s->family = AF_UNIX;
	s->ino = m->udiag_ino;
	s->type = m->udiag_type;
	s->state = m->udiag_state;
	if (a[UNIX_DIAG_PEER])
		s->peer = nla_get_u32(a[UNIX_DIAG_PEER]);
	if (a[UNIX_DIAG_SHUTDOWN])
		s->shutdown = nla_get_u8(a[UNIX_DIAG_SHUTDOWN]);
	if (a[UNIX_DIAG_RQLEN] &&
	    nla_len(a[UNIX_DIAG_RQLEN]) >= (int)sizeof(struct unix_diag_rqlen)) {
		struct unix_diag_rqlen *q = nla_data(a[UNIX_DIAG_RQLEN]);

		s->rqueue = q->udiag_rqueue;
		s->wqueue = q->udiag_wqueue;
	}
	if (a[UNIX_DIAG_NAME]) {
		s->name_len = nla_len(a[UNIX_DIAG_NAME]);
		s->name = xzalloc(s->name_len + 1);
		if (s->name)
			memcpy(s->name, nla_data(a[UNIX_DIAG_NAME]), s->name_len);
	}
	if (a[UNIX_DIAG_ICONS] && nla_len(a[UNIX_DIAG_ICONS]) > 0) {
		s->nr_waiting = nla_len(a[UNIX_DIAG_ICONS]) / sizeof(uint32_t);
		s->waiting = xcalloc(s->nr_waiting, sizeof(uint32_t));
		if (s->waiting)
			memcpy(s->waiting, nla_data(a[UNIX_DIAG_ICONS]),
			       s->nr_waiting * sizeof(uint32_t));
	}
	return true;
}

bool diag_parse_inet(struct nlmsghdr *h, struct diag_socket *s)
{
	struct nlattr *a[INET_DIAG_MAX + 1];
	struct inet_diag_msg *m = nlmsg_data(h);

	*s = (struct diag_socket){ 0 };
	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    nlmsg_parse(h, sizeof(*m), a, INET_DIAG_MAX, NULL) < 0)
		return false;
	s->family = m->idiag_family;
	s->ino = m->idiag_inode;
	s->state = m->idiag_state;
	s->rqueue = m->idiag_rqueue;
	s->wqueue = m->idiag_wqueue;
	if (a[INET_DIAG_SHUTDOWN])
		s->shutdown = nla_get_u8(a[INET_DIAG_SHUTDOWN]);
	return true;
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct sock_diag_req *m = nlmsg_data(h); /* every answer begins with the family */
	struct diag *d = arg;
	struct node *n, *old;
	bool known;

	n = xzalloc(sizeof(*n));
	if (!n)
		return -NLE_NOMEM;
	known = m->sdiag_family == AF_UNIX ? diag_parse_unix(h, &n->s) : diag_parse_inet(h, &n->s);
	if (known && ((n->s.name_len && !n->s.name) || (n->s.nr_waiting && !n->s.waiting))) {
		socket_free(&n->s);
		free(n);
		return -NLE_NOMEM;
	}
	/* sockets that wait to be accepted, or time out, have no inode */
	if (!known || !n->s.ino) {
		socket_free(&n->s);
		free(n);
		return NL_OK;
	}
	HASH_FIND(hh, d->sockets, &n->s.ino, sizeof(n->s.ino), old);
	if (old) {
		HASH_DEL(d->sockets, old);
		socket_free(&old->s);
		free(old);
	}
	HASH_ADD(hh, d->sockets, s.ino, sizeof(n->s.ino), n);
	if (!hash_added(n)) {
		socket_free(&n->s);
		free(n);
		return -NLE_NOMEM;
	}
	return NL_OK;
}

/* A netlink socket that looks into D's namespace: sockets belong to the one they were made in. */
static int connect_there(struct diag *d, struct nl_sock *sk)
{
	cleanup_close int own = -1;
	int ret;

	if (d->netns < 0)
		return nl_connect(sk, NETLINK_SOCK_DIAG);
	own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0 || setns(d->netns, CLONE_NEWNET))
		return -NLE_FAILURE;
	ret = nl_connect(sk, NETLINK_SOCK_DIAG);
	if (setns(own, CLONE_NEWNET)) {
		pr_perror("Can't go back to criu's network namespace");
		abort();
	}
	return ret;
}

static int ask(struct diag *d, void *req, size_t len)
{
	struct nl_sock *sk = nl_socket_alloc();
	int ret = sk ? connect_there(d, sk) : -NLE_NOMEM;

	if (!ret)
		ret = nl_socket_modify_cb(sk, NL_CB_VALID, NL_CB_CUSTOM, on_message, d);
	if (!ret)
		ret = min(nl_send_simple(sk, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, req, len), 0);
	if (!ret)
		ret = nl_recvmsgs_default(sk);
	nl_socket_free(sk);
	if (!ret)
		return 0;
	pr_err("Can't list sockets (sock_diag): %s", nl_geterror(ret));
	return -1;
}

static int ask_for(struct diag *d, int family, int proto)
{
	struct unix_diag_req u = { .sdiag_family = AF_UNIX,
				   .udiag_states = ~0U,
				   .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER |
						 UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN };
	struct inet_diag_req_v2 i = { .sdiag_family = family,
				      .sdiag_protocol = proto,
				      .idiag_states = ~0U };

	return family == AF_UNIX ? ask(d, &u, sizeof(u)) : ask(d, &i, sizeof(i));
}

/* Reads a family once; -1: it could not be read, logged. */
static int read_family(struct diag *d, int family, int proto)
{
	for (unsigned k = 0; k < d->nr_done; k++)
		if (d->done[k].family == family && d->done[k].proto == proto)
			return 0;
	if (ask_for(d, family, proto)) {
		errno = EIO; /* not that there is no such socket */
		return -1;
	}
	if (d->nr_done < ARRAY_SIZE(d->done))
		d->done[d->nr_done++] = (struct read_already){ family, proto };
	return 0;
}

static const struct diag_socket *find(struct diag *d, uint32_t ino)
{
	struct node *n;

	HASH_FIND(hh, d->sockets, &ino, sizeof(ino), n);
	if (!n)
		errno = ENOENT;
	return n ? &n->s : NULL;
}

const struct diag_socket *diag_unix(struct diag *d, uint32_t ino)
{
	return read_family(d, AF_UNIX, 0) ? NULL : find(d, ino);
}

const struct diag_socket *diag_unix_waits_at(struct diag *d, uint32_t client)
{
	if (read_family(d, AF_UNIX, 0))
		return NULL;
	for (struct node *n = d->sockets; n; n = n->hh.next)
		for (size_t i = 0; i < n->s.nr_waiting; i++)
			if (n->s.waiting[i] == client)
				return &n->s;
	return NULL;
}

const struct diag_socket *diag_inet(struct diag *d, int family, int proto, uint32_t ino)
{
	return read_family(d, family, proto) ? NULL : find(d, ino);
}
