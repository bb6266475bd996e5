// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options for which CRIU's images have no place: socket(7), ip(7), ipv6(7), tcp(7), udp(7). They are kept in a field of our own, which CRIU skips, where they differ from
 * what a new socket of the same kind has here. An option that the kernel does not know, on either side, is passed over.
 */
#include "util/xmalloc.h"

#include "files/sockopt_more.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "util/log.h"

/*
 * Options that are one integer, which can be read and set. By number, since the C library's headers may be older than the kernel: they are the same on x86, arm and riscv
 * (asm-generic/socket.h, linux/in.h, in6.h, tcp.h, udp.h). What is set before bind(2) works there: nothing here is for a connection only.
 */
static const struct more_option {
	int level, option;
	const char *name;
} options[] = {
	{ SOL_SOCKET, 29, "SO_TIMESTAMP" },
	{ SOL_SOCKET, 35, "SO_TIMESTAMPNS" },
	{ SOL_SOCKET, 37, "SO_TIMESTAMPING" },
	{ SOL_SOCKET, 40, "SO_RXQ_OVFL" },
	{ SOL_SOCKET, 41, "SO_WIFI_STATUS" },
	{ SOL_SOCKET, 42, "SO_PEEK_OFF" },
	{ SOL_SOCKET, 45, "SO_SELECT_ERR_QUEUE" },
	{ SOL_SOCKET, 46, "SO_BUSY_POLL" },
	{ SOL_SOCKET, 47, "SO_MAX_PACING_RATE" },
	{ SOL_SOCKET, 60, "SO_ZEROCOPY" },
	{ SOL_SOCKET, 69, "SO_PREFER_BUSY_POLL" },
	{ SOL_SOCKET, 74, "SO_TXREHASH" },
	{ SOL_SOCKET, 75, "SO_RCVMARK" },
	{ SOL_SOCKET, 76, "SO_PASSPIDFD" },
	{ IPPROTO_IP, 1, "IP_TOS" },
	{ IPPROTO_IP, 2, "IP_TTL" },
	{ IPPROTO_IP, 6, "IP_RECVOPTS" },
	{ IPPROTO_IP, 7, "IP_RETOPTS" },
	{ IPPROTO_IP, 8, "IP_PKTINFO" },
	{ IPPROTO_IP, 10, "IP_MTU_DISCOVER" },
	{ IPPROTO_IP, 11, "IP_RECVERR" },
	{ IPPROTO_IP, 12, "IP_RECVTTL" },
	{ IPPROTO_IP, 13, "IP_RECVTOS" },
	{ IPPROTO_IP, 18, "IP_PASSSEC" },
	{ IPPROTO_IP, 19, "IP_TRANSPARENT" },
	{ IPPROTO_IP, 20, "IP_RECVORIGDSTADDR" },
	{ IPPROTO_IP, 21, "IP_MINTTL" },
	{ IPPROTO_IP, 23, "IP_CHECKSUM" },
	{ IPPROTO_IP, 24, "IP_BIND_ADDRESS_NO_PORT" },
	{ IPPROTO_IP, 25, "IP_RECVFRAGSIZE" },
	{ IPPROTO_IP, 26, "IP_RECVERR_RFC4884" },
	{ IPPROTO_IP, 32, "IP_MULTICAST_IF" },
	{ IPPROTO_IP, 33, "IP_MULTICAST_TTL" },
	{ IPPROTO_IP, 34, "IP_MULTICAST_LOOP" },
	{ IPPROTO_IP, 49, "IP_MULTICAST_ALL" },
	{ IPPROTO_IP, 50, "IP_UNICAST_IF" },
	{ IPPROTO_IP, 51, "IP_LOCAL_PORT_RANGE" },
	{ IPPROTO_IPV6, 16, "IPV6_UNICAST_HOPS" },
	{ IPPROTO_IPV6, 17, "IPV6_MULTICAST_IF" },
	{ IPPROTO_IPV6, 18, "IPV6_MULTICAST_HOPS" },
	{ IPPROTO_IPV6, 19, "IPV6_MULTICAST_LOOP" },
	{ IPPROTO_IPV6, 23, "IPV6_MTU_DISCOVER" },
	{ IPPROTO_IPV6, 25, "IPV6_RECVERR" },
	{ IPPROTO_IPV6, 29, "IPV6_MULTICAST_ALL" },
	{ IPPROTO_IPV6, 30, "IPV6_ROUTER_ALERT_ISOLATE" },
	{ IPPROTO_IPV6, 31, "IPV6_RECVERR_RFC4884" },
	{ IPPROTO_IPV6, 33, "IPV6_FLOWINFO_SEND" },
	{ IPPROTO_IPV6, 51, "IPV6_RECVHOPLIMIT" },
	{ IPPROTO_IPV6, 53, "IPV6_RECVHOPOPTS" },
	{ IPPROTO_IPV6, 56, "IPV6_RECVRTHDR" },
	{ IPPROTO_IPV6, 58, "IPV6_RECVDSTOPTS" },
	{ IPPROTO_IPV6, 60, "IPV6_RECVPATHMTU" },
	{ IPPROTO_IPV6, 62, "IPV6_DONTFRAG" },
	{ IPPROTO_IPV6, 66, "IPV6_RECVTCLASS" },
	{ IPPROTO_IPV6, 67, "IPV6_TCLASS" },
	{ IPPROTO_IPV6, 70, "IPV6_AUTOFLOWLABEL" },
	{ IPPROTO_IPV6, 72, "IPV6_ADDR_PREFERENCES" },
	{ IPPROTO_IPV6, 73, "IPV6_MINHOPCOUNT" },
	{ IPPROTO_IPV6, 74, "IPV6_RECVORIGDSTADDR" },
	{ IPPROTO_IPV6, 75, "IPV6_TRANSPARENT" },
	{ IPPROTO_IPV6, 76, "IPV6_UNICAST_IF" },
	{ IPPROTO_IPV6, 77, "IPV6_RECVFRAGSIZE" },
	{ IPPROTO_TCP, 7, "TCP_SYNCNT" },
	{ IPPROTO_TCP, 8, "TCP_LINGER2" },
	{ IPPROTO_TCP, 9, "TCP_DEFER_ACCEPT" },
	{ IPPROTO_TCP, 16, "TCP_THIN_LINEAR_TIMEOUTS" },
	{ IPPROTO_TCP, 18, "TCP_USER_TIMEOUT" },
	{ IPPROTO_TCP, 23, "TCP_FASTOPEN" },
	{ IPPROTO_TCP, 25, "TCP_NOTSENT_LOWAT" },
	{ IPPROTO_TCP, 27, "TCP_SAVE_SYN" },
	{ IPPROTO_TCP, 30, "TCP_FASTOPEN_CONNECT" },
	{ IPPROTO_TCP, 34, "TCP_FASTOPEN_NO_COOKIE" },
	{ IPPROTO_TCP, 36, "TCP_INQ" },
	{ IPPROTO_TCP, 37, "TCP_TX_DELAY" },
	{ IPPROTO_UDP, 101, "UDP_NO_CHECK6_TX" },
	{ IPPROTO_UDP, 102, "UDP_NO_CHECK6_RX" },
	{ IPPROTO_UDP, 103, "UDP_SEGMENT" },
	{ IPPROTO_UDP, 104, "UDP_GRO" },
};

struct sock_defaults {
	struct sock_defaults *next;
	int domain, type, proto;
	bool known[ARRAY_SIZE(options)];
	int values[ARRAY_SIZE(options)];
	char congestion[16]; /* TCP_CA_NAME_MAX */
};

static bool applies(const struct more_option *o, const struct sock_defaults *d)
{
	bool ip = d->domain == AF_INET || d->domain == AF_INET6;

	switch (o->level) {
	case SOL_SOCKET:
		return true;
	case IPPROTO_IP:
		return ip;
	case IPPROTO_IPV6:
		return d->domain == AF_INET6;
	case IPPROTO_TCP:
		return ip && d->type == SOCK_STREAM && d->proto == IPPROTO_TCP;
	default:
		return ip && d->type == SOCK_DGRAM;
	}
}

static bool get_int(int fd, const struct more_option *o, int *value)
{
	socklen_t len = sizeof(*value);

	*value = 0;
	return !getsockopt(fd, o->level, o->option, value, &len);
}

static void get_congestion(int fd, char name[16])
{
	socklen_t len = 15;

	memset(name, 0, 16);
	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len))
		name[0] = 0;
}

static bool is_tcp(const struct sock_defaults *d)
{
	return (d->domain == AF_INET || d->domain == AF_INET6) && d->type == SOCK_STREAM &&
	       d->proto == IPPROTO_TCP;
}

/* What a new socket of this kind has. Where none can be made nothing is known, and nothing is saved. */
static void learn(struct sock_defaults *d)
{
	cleanup_close int fd = socket(d->domain, d->type | SOCK_CLOEXEC, d->proto);

	if (fd < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		d->known[i] = applies(&options[i], d) && get_int(fd, &options[i], &d->values[i]);
	if (is_tcp(d))
		get_congestion(fd, d->congestion);
}

static const struct sock_defaults *defaults_of(struct sock_defaults **all, int fd)
{
	struct sock_defaults key = { 0 }, *d;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &key.domain, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &key.type, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &key.proto, &len)) {
		pr_perror("Can't tell the kind of a socket");
		return NULL;
	}
	for (d = *all; d; d = d->next)
		if (d->domain == key.domain && d->type == key.type && d->proto == key.proto)
			return d;
	d = xmalloc(sizeof(*d));
	if (!d)
		return NULL;
	*d = key;
	learn(d);
	d->next = *all;
	return *all = d;
}

void sockopts_more_free(struct sock_defaults **all)
{
	struct sock_defaults *d;

	while ((d = *all)) {
		*all = d->next;
		free(d);
	}
}

static int add(SkOptsEntry *e, size_t *cap, const struct more_option *o, int value)
{
	SkOptEntry *m;

	if (xgrow(&e->others, cap, e->n_others, sizeof(*e->others)) ||
	    !PB_NEW(m, sk_opt_entry__init))
		return -1;
	m->level = o->level;
	m->option = o->option;
	m->value = value;
	e->others[e->n_others++] = m;
	return 0;
}

int sockopts_more_dump(struct sock_defaults **all, int fd, SkOptsEntry *e)
{
	const struct sock_defaults *d = defaults_of(all, fd);
	char congestion[16];
	size_t cap = 0;
	int value;

	if (!d)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (d->known[i] && get_int(fd, &options[i], &value) && value != d->values[i] &&
		    add(e, &cap, &options[i], value))
			return -1;
	if (!is_tcp(d))
		return 0;
	get_congestion(fd, congestion);
	if (!strcmp(congestion, d->congestion))
		return 0;
	e->tcp_congestion = xstrdup(congestion);
	return e->tcp_congestion ? 0 : -1;
}

/* ---- restore ---- */

static const struct more_option *find(int level, int option)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].level == level && options[i].option == option)
			return &options[i];
	return NULL;
}

void sockopts_more_restore(int fd, const SkOptsEntry *e, const char *what)
{
	for (size_t i = 0; i < e->n_others; i++) {
		const SkOptEntry *m = e->others[i];
		const struct more_option *o = find(m->level, m->option);

		if (!o)
			pr_warn("%s loses option %d of level %d, which this criu does not know",
				what, m->option, m->level);
		else if (setsockopt(fd, m->level, m->option, &m->value, sizeof(m->value)))
			pr_warn("%s loses %s (%d): %s", what, o->name, m->value, strerror(errno));
	}
	if (e->tcp_congestion && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, e->tcp_congestion,
					    strlen(e->tcp_congestion)))
		pr_warn("%s loses its congestion control, %s: %s", what, e->tcp_congestion,
			strerror(errno));
}
