// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP, UDP, UDP-Lite and raw sockets over IPv4 and IPv6. Message: inet_sk_entry. Connected TCP sockets are refused unless
 * --tcp-established or --tcp-close says what shall become of them.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "files/inet.h"
#include "util/log.h"

static bool inet_recognise(const struct fd_probe *p)
{
	int family;
	socklen_t len = sizeof(family);

	return S_ISSOCK(p->st.st_mode) && !strncmp(p->link, "socket:", 7) &&
	       !getsockopt(p->lfd, SOL_SOCKET, SO_DOMAIN, &family, &len) &&
	       (family == AF_INET || family == AF_INET6);
}

const char *inet_name(const InetSkEntry *e)
{
	static char buf[200];
	char src[INET6_ADDRSTRLEN] = "?", dst[INET6_ADDRSTRLEN] = "?";

	if (e->n_src_addr)
		inet_ntop(e->family, e->src_addr, src, sizeof(src));
	if (e->n_dst_addr)
		inet_ntop(e->family, e->dst_addr, dst, sizeof(dst));
	if (e->dst_port)
		snprintf(buf, sizeof(buf), "%s port %u, connected to %s port %u", src, e->src_port,
			 dst, e->dst_port);
	else
		snprintf(buf, sizeof(buf), "%s port %u", src, e->src_port);
	return buf;
}

/* ---- dump ---- */

/* An address as the image has it: network order words, host order port. */
static int put_address(const struct sockaddr_in6 *a6, uint32_t **words, size_t *nr, uint32_t *port)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)a6;
	bool v4 = a6->sin6_family == AF_INET;

	*nr = v4 ? 1 : 4;
	*words = xcalloc(*nr, sizeof(**words));
	if (!*words)
		return -1;
	memcpy(*words, v4 ? (const void *)&a4->sin_addr : &a6->sin6_addr, *nr * 4);
	*port = ntohs(a6->sin6_port); /* at the same place in both */
	return 0;
}

static int dump_addresses(const struct fd_probe *p, InetSkEntry *e)
{
	struct sockaddr_in6 src = { .sin6_family = e->family }, dst = { .sin6_family = e->family };
	socklen_t len = sizeof(src);
	char ifname[IF_NAMESIZE];

	if (getsockname(p->lfd, (struct sockaddr *)&src, &len)) {
		pr_perror("Can't get the address of %s", probe_name(p));
		return -1;
	}
	len = sizeof(dst);
	if (getpeername(p->lfd, (struct sockaddr *)&dst, &len)) {
		memset(&dst, 0, sizeof(dst));
		dst.sin6_family = e->family;
	} else {
		e->state = TCP_ESTABLISHED;
	}
	if (e->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&src.sin6_addr) &&
	    if_indextoname(src.sin6_scope_id, ifname) && !(e->ifname = xstrdup(ifname)))
		return -1;
	return put_address(&src, &e->src_addr, &e->n_src_addr, &e->src_port) ||
	       put_address(&dst, &e->dst_addr, &e->n_dst_addr, &e->dst_port);
}

/* A flag that is saved where it is set. */
static int dump_flag(const struct fd_probe *p, int level, int option, const char *name,
		     protobuf_c_boolean *has, protobuf_c_boolean *field)
{
	int value;

	if (sockopt_get(p, level, option, name, &value))
		return -1;
	*has = *field = value != 0;
	return 0;
}

static int dump_ip_options(const struct fd_probe *p, InetSkEntry *e)
{
	IpOptsEntry *o = e->ip_opts = NEW_MSG(IpOptsEntry, ip_opts_entry);
	int value;

	if (!o)
		return -1;
	if (e->family == AF_INET6) {
		if (dump_flag(p, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", &e->has_v6only,
			      &e->v6only))
			return -1;
		e->has_v6only = true;
		return dump_flag(p, IPPROTO_IPV6, IPV6_FREEBIND, "IPV6_FREEBIND", &o->has_freebind,
				 &o->freebind) ||
		       dump_flag(p, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO",
				 &o->has_pktinfo, &o->pktinfo);
	}
	if (sockopt_get(p, IPPROTO_IP, IP_TTL, "IP_TTL", &value))
		return -1;
	o->has_ttl = true;
	o->ttl = value;
	if (sockopt_get(p, IPPROTO_IP, IP_TOS, "IP_TOS", &value))
		return -1;
	o->has_tos = value != 0;
	o->tos = value;
	return dump_flag(p, IPPROTO_IP, IP_FREEBIND, "IP_FREEBIND", &o->has_freebind,
			 &o->freebind) ||
	       dump_flag(p, IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO", &o->has_pktinfo, &o->pktinfo);
}

static int dump_raw_options(const struct fd_probe *p, InetSkEntry *e)
{
	IpOptsRawEntry *o;

	if (e->type != SOCK_RAW || e->family != AF_INET)
		return 0;
	o = e->ip_opts->raw = NEW_MSG(IpOptsRawEntry, ip_opts_raw_entry);
	return !o ||
	       dump_flag(p, IPPROTO_IP, IP_HDRINCL, "IP_HDRINCL", &o->has_hdrincl, &o->hdrincl) ||
	       dump_flag(p, IPPROTO_IP, IP_NODEFRAG, "IP_NODEFRAG", &o->has_nodefrag, &o->nodefrag);
}

/* What is layered on a connection (kernel TLS, say) has a state that the kernel does not give away. */
static int check_layer(const struct fd_probe *p)
{
	char name[16] = "";
	socklen_t len = sizeof(name) - 1;

	if (getsockopt(p->lfd, IPPROTO_TCP, TCP_ULP, name, &len) || !name[0])
		return 0;
	pr_err("%s: a connection with the kernel's %s on it (TCP_ULP) is not supported",
	       probe_name(p), name);
	return -1;
}

static int dump_tcp_options(const struct fd_probe *p, InetSkEntry *e)
{
	TcpOptsEntry *o = e->tcp_opts = NEW_MSG(TcpOptsEntry, tcp_opts_entry);
	int cnt, idle, intvl;

	if (!o)
		return -1;
	if (e->proto != IPPROTO_TCP)
		return 0;
	if (check_layer(p) || sockopt_get(p, IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", &cnt) ||
	    sockopt_get(p, IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", &idle) ||
	    sockopt_get(p, IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", &intvl))
		return -1;
	o->has_keepcnt = o->has_keepidle = o->has_keepintvl = true;
	o->keepcnt = cnt;
	o->keepidle = idle;
	o->keepintvl = intvl;
	return dump_flag(p, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", &o->has_nodelay,
			 &o->nodelay) ||
	       dump_flag(p, IPPROTO_TCP, TCP_CORK, "TCP_CORK", &o->has_cork, &o->cork);
}

/* State, backlog, and whether we may save such a one at all. */
static int dump_tcp_state(struct op *op, const struct fd_probe *p, InetSkEntry *e)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(p->lfd, IPPROTO_TCP, TCP_INFO, &info, &len)) {
		pr_perror("Can't get the state of %s", probe_name(p));
		return -1;
	}
	e->state = info.tcpi_state;
	if (e->state == TCP_CLOSE)
		return 0;
	if (e->state != TCP_LISTEN)
		return tcp_dump(op, p, e);
	/* listening: "unacked" is how many wait to be accepted, "sacked" how many may */
	e->backlog = info.tcpi_sacked;
	if (!info.tcpi_unacked || opts.skip_in_flight || opts.tcp_close)
		return 0;
	pr_err("%s (TCP, %s) has %u connections that were not accepted yet: --skip-in-flight drops "
	       "them",
	       probe_name(p), inet_name(e), info.tcpi_unacked);
	return -1;
}

/* The half of a connected UDP socket that was shut down is known to sock_diag only. */
static int dump_shutdown(struct op *op, const struct fd_probe *p, InetSkEntry *e)
{
	struct diag *d;
	const struct diag_socket *s;

	if (e->state != TCP_ESTABLISHED || e->type != SOCK_DGRAM)
		return 0;
	d = sockets_diag(op, p->task);
	s = d ? diag_inet(d, e->family, e->proto, e->ino) : NULL;
	if (!s && d && errno == ENOENT)
		return 0;
	if (s && s->shutdown) {
		e->has_shutdown = true;
		e->shutdown = s->shutdown;
	}
	return s ? 0 : -1;
}

static int dump_kind(const struct fd_probe *p, InetSkEntry *e)
{
	int family, type, proto;

	if (sockopt_get(p, SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN", &family) ||
	    sockopt_get(p, SOL_SOCKET, SO_TYPE, "SO_TYPE", &type) ||
	    sockopt_get(p, SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL", &proto))
		return -1;
	e->family = family;
	e->type = type;
	e->proto = proto;
	e->state = TCP_CLOSE;
	if ((type == SOCK_STREAM && proto == IPPROTO_TCP) ||
	    (type == SOCK_DGRAM && (proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE)) ||
	    type == SOCK_RAW)
		return 0;
	pr_err("%s: sockets of family %d, type %d, protocol %d are not supported", probe_name(p),
	       family, type, proto);
	return -1;
}

static void warn_unread(const struct fd_probe *p, const InetSkEntry *e)
{
	int unread = 0;

	if (e->type == SOCK_DGRAM && !ioctl(p->lfd, FIONREAD, &unread) && unread)
		pr_warn("%s (UDP, %s): packets that were not read yet are lost", probe_name(p),
			inet_name(e));
}

static int inet_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	InetSkEntry *e = f->entry->isk = NEW_MSG(InetSkEntry, inet_sk_entry);

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	e->id = f->id;
	e->ino = p->st.st_ino;
	e->flags = p->flags;
	if (dump_kind(p, e) || dump_addresses(p, e) || dump_ip_options(p, e) ||
	    dump_raw_options(p, e) || dump_tcp_options(p, e) ||
	    !(e->opts = sockopts_dump(op, p, false)))
		return -1;
	e->has_ns_id = socket_ns_id(p->task, &e->ns_id);
	if (e->proto == IPPROTO_TCP && e->type == SOCK_STREAM && dump_tcp_state(op, p, e))
		return -1;
	warn_unread(p, e);
	return dump_shutdown(op, p, e);
}

/* ---- restore ---- */

/* The image's words as an address; its length. */
static socklen_t get_address(const InetSkEntry *e, const uint32_t *words, uint32_t port,
			     struct sockaddr_in6 *a)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)a;

	memset(a, 0, sizeof(*a));
	a->sin6_family = e->family;
	a->sin6_port = htons(port);
	if (e->family == AF_INET) {
		memcpy(&a4->sin_addr, words, 4);
		return sizeof(*a4);
	}
	memcpy(&a->sin6_addr, words, 16);
	if (e->ifname)
		a->sin6_scope_id = if_nametoindex(e->ifname);
	return sizeof(*a);
}

socklen_t inet_source(const InetSkEntry *e, struct sockaddr_in6 *a)
{
	return get_address(e, e->src_addr, e->src_port, a);
}

socklen_t inet_destination(const InetSkEntry *e, struct sockaddr_in6 *a)
{
	return get_address(e, e->dst_addr, e->dst_port, a);
}

static int inet_collect(struct op *op)
{
	for (size_t i = 0; i < op->files->nr; i++) {
		InetSkEntry *e = op->files->v[i]->entry->isk;
		size_t words = e && e->family == AF_INET6 ? 4 : 1;

		if (!e)
			continue;
		if ((e->family != AF_INET && e->family != AF_INET6) || e->n_src_addr != words ||
		    e->n_dst_addr != words || e->src_port > 65535 || e->dst_port > 65535) {
			pr_err("files.img: socket %u has no proper addresses", e->id);
			return -1;
		}
		if (tcp_collect(op, e))
			return -1;
	}
	return 0;
}

/* What must be set before bind(2). SO_REUSEADDR is on until all are bound: what the dead task left in TIME_WAIT, or another
 * socket of the tree on the same port, must not be in the way. */
static int before_bind(int fd, const InetSkEntry *e, const char *what)
{
	const IpOptsEntry *o = e->ip_opts;
	bool v6 = e->family == AF_INET6;

	sockopts_more_restore(fd, e->opts, what);
	if (sockopt_set(fd, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", 1, what) ||
	    (e->opts->so_reuseport &&
	     sockopt_set(fd, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", 1, what)) ||
	    (v6 && e->has_v6only &&
	     sockopt_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", e->v6only, what)))
		return -1;
	if (e->opts->so_bound_dev &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, e->opts->so_bound_dev,
		       strlen(e->opts->so_bound_dev) + 1)) {
		pr_perror("Can't bind %s to device %s", what, e->opts->so_bound_dev);
		return -1;
	}
	if (o && o->freebind)
		return sockopt_set(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				   v6 ? IPV6_FREEBIND : IP_FREEBIND, "IP_FREEBIND", 1, what);
	return 0;
}

static int restore_ip_options(int fd, const InetSkEntry *e, const char *what)
{
	const IpOptsEntry *o = e->ip_opts;
	bool v6 = e->family == AF_INET6;

	if (!o)
		return 0;
	if (o->has_ttl && !v6 && sockopt_set(fd, IPPROTO_IP, IP_TTL, "IP_TTL", o->ttl, what))
		return -1;
	if (o->has_tos && !v6 && sockopt_set(fd, IPPROTO_IP, IP_TOS, "IP_TOS", o->tos, what))
		return -1;
	if (o->pktinfo && sockopt_set(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				      v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, "IP_PKTINFO", 1, what))
		return -1;
	if (o->raw && o->raw->hdrincl &&
	    sockopt_set(fd, IPPROTO_IP, IP_HDRINCL, "IP_HDRINCL", 1, what))
		return -1;
	return o->raw && o->raw->nodefrag
		       ? sockopt_set(fd, IPPROTO_IP, IP_NODEFRAG, "IP_NODEFRAG", 1, what)
		       : 0;
}

static int restore_tcp_options(int fd, const InetSkEntry *e, const char *what)
{
	const TcpOptsEntry *o = e->tcp_opts;

	if (!o || e->proto != IPPROTO_TCP)
		return 0;
	if ((o->has_keepcnt &&
	     sockopt_set(fd, IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", o->keepcnt, what)) ||
	    (o->has_keepidle &&
	     sockopt_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", o->keepidle, what)) ||
	    (o->has_keepintvl &&
	     sockopt_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", o->keepintvl, what)))
		return -1;
	if (o->nodelay && sockopt_set(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", 1, what))
		return -1;
	return o->cork ? sockopt_set(fd, IPPROTO_TCP, TCP_CORK, "TCP_CORK", 1, what) : 0;
}

static int bind_socket(int fd, const InetSkEntry *e, const char *what)
{
	static const uint32_t any[4];
	struct sockaddr_in6 a;
	socklen_t len = inet_source(e, &a);

	if (!e->src_port && !memcmp(e->src_addr, any, e->n_src_addr * 4))
		return 0;
	if (!bind(fd, (struct sockaddr *)&a, len))
		return 0;
	pr_perror("Can't bind %s again%s", what,
		  errno == EADDRINUSE	   ? " (another socket has the port)"
		  : errno == EADDRNOTAVAIL ? " (this host does not have the address)"
					   : "");
	return -1;
}

static int connect_udp(int fd, const InetSkEntry *e, const char *what)
{
	struct sockaddr_in6 a;
	socklen_t len = inet_destination(e, &a);

	if (e->state != TCP_ESTABLISHED || e->proto == IPPROTO_TCP)
		return 0;
	if (connect(fd, (struct sockaddr *)&a, len)) {
		pr_perror("Can't connect %s again", what);
		return -1;
	}
	return e->has_shutdown && e->shutdown ? shutdown(fd, e->shutdown - 1) : 0;
}

static int inet_open(struct op *op, struct file *f)
{
	InetSkEntry *e = f->entry->isk;
	bool tcp = e->proto == IPPROTO_TCP && e->type == SOCK_STREAM;
	char what[256];

	snprintf(what, sizeof(what), "%s socket %s",
		 tcp		       ? "TCP"
		 : e->type == SOCK_RAW ? "raw"
				       : "UDP",
		 inet_name(e));
	f->fd = socket(e->family, e->type | SOCK_CLOEXEC, e->proto);
	if (f->fd < 0) {
		pr_perror("Can't make %s", what);
		return -1;
	}
	if (before_bind(f->fd, e, what))
		return -1;
	if (tcp && e->state != TCP_CLOSE && e->state != TCP_LISTEN) {
		if (tcp_restore(op, e, f->fd, what))
			return -1;
	} else if (bind_socket(f->fd, e, what) || connect_udp(f->fd, e, what)) {
		return -1;
	}
	if (e->state == TCP_LISTEN && listen(f->fd, e->backlog)) {
		pr_perror("Can't listen on %s", what);
		return -1;
	}
	return restore_ip_options(f->fd, e, what) || restore_tcp_options(f->fd, e, what)
		       ? -1
		       : fd_restore_flags(f->fd, e->flags);
}

/* The rest of the options, now that all are bound. */
static int inet_opened(struct op *op)
{
	char what[256];

	for (size_t i = 0; i < op->files->nr; i++) {
		struct file *f = op->files->v[i];
		InetSkEntry *e = f->entry->isk;

		if (!e || f->fd < 0)
			continue;
		snprintf(what, sizeof(what), "the socket %s", inet_name(e));
		if (sockopts_restore(f->fd, e->opts, what))
			return -1;
	}
	return 0;
}

const struct file_kind inet_kind = {
	.name = "IP socket",
	.type = FD_TYPES__INETSK,
	.recognise = inet_recognise,
	.dump = inet_dump,
	.dump_all = tcp_dump_all,
	.free = tcp_free,
	.collect = inet_collect,
	.open = inet_open,
	.opened = inet_opened,
	.finish = fown_finish,
};
