// SPDX-License-Identifier: GPL-2.0-only
#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define HANDSHAKE_MS 10000
#define LAN_RTT_US   2000

static void set_peer(struct conn *c, const struct sockaddr *sa, socklen_t len)
{
	char host[64], port[8];

	if (sa->sa_family == AF_UNIX)
		snprintf(c->peer, sizeof(c->peer), "a local socket");
	else if (getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
			     NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(c->peer, sizeof(c->peer), "an unknown address");
	else
		snprintf(c->peer, sizeof(c->peer), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
			 port);
}

/*
 * On a fast link BBR's pacing costs a quarter of the throughput, and what it is for, queues, does not arise: the bulk connection has a window of its
 * own that watches the delay. So a connection begins without it: once BBR has been on, its pacing stays on, a timer for each burst, whatever takes its
 * place. On long links the system's choice comes back.
 */
static char system_choice[16]; /* TCP_CA_NAME_MAX */

static void begin_without_pacing(int fd)
{
	socklen_t len = sizeof(system_choice) - 1;

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, system_choice, &len))
		*system_choice = 0;
	if (strcmp(system_choice, "bbr"))
		return;
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5))
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

static void tune_for_distance(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (*system_choice && !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	    info.tcpi_rtt > LAN_RTT_US)
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, system_choice, strlen(system_choice));
}

/* No delay for small messages; a peer that is gone without a word is noticed in about 30 s. */
static void tune(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },   { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 10 }, { IPPROTO_TCP, TCP_KEEPINTVL, 5 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 4 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) /* fails on UNIX sockets, harmlessly */
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
	tune_for_distance(fd);
}

static struct addrinfo *resolve(const char *address, int port, int flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV };
	struct addrinfo *list;
	char service[8];
	int err;

	snprintf(service, sizeof(service), "%d", port);
	err = getaddrinfo(address, service, &hints, &list);
	if (!err)
		return list;
	pr_err("The address %s is not one: %s", address ?: "*", gai_strerror(err));
	errno = EINVAL;
	return NULL;
}

static int listen_on(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, off = 0;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	begin_without_pacing(fd);
	if (a->ai_family == AF_INET6) /* the address of all addresses: IPv4's too */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, 16))
		return fd;
	close(fd);
	return -1;
}

static bool all_addresses(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)ss)->sin6_addr);
	return ((struct sockaddr_in *)ss)->sin_addr.s_addr == INADDR_ANY;
}

/* What it became: the port, and who can come. */
static void look_at(int fd, int *port)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return;
	if (!*port) {
		*port = ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
						       : ((struct sockaddr_in *)&ss)->sin_port);
		printf("Listening on port %d\n", *port);
		fflush(stdout);
	}
	if (all_addresses(&ss) && !tls_wanted())
		pr_warn("Anybody who can reach port %d of this host can read, or fake, the memory "
			"of the tasks: give "
			"--address, --tls or --tls-psk",
			*port);
}

int conn_listen(const char *address, int *port)
{
	struct addrinfo *list = resolve(address, *port, AI_PASSIVE), *a;
	int fd = -1, err = 0;

	if (!list)
		return -1;
	for (int family = AF_INET6;; family = AF_INET) {
		for (a = list; a && fd < 0; a = a->ai_next)
			if (a->ai_family == family && (fd = listen_on(a)) < 0)
				err = errno;
		if (family == AF_INET || fd >= 0)
			break;
	}
	freeaddrinfo(list);
	if (fd < 0) {
		errno = err;
		pr_perror("Can't listen on %s port %d", address ?: "all addresses", *port);
		return -1;
	}
	look_at(fd, port);
	pr_info("listening on %s port %d", address ?: "all addresses", *port);
	return fd;
}

static int wait_for(int fd, short events, int timeout_ms)
{
	uint64_t end = timeout_ms < 0 ? UINT64_MAX : now_us() / 1000 + timeout_ms;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		uint64_t now = now_us() / 1000;
		int left = timeout_ms < 0 ? -1 : now >= end ? 0 : (int)(end - now);
		int n = poll(&p, 1, left);

		if (n > 0)
			return 0;
		if (!n)
			return 1;
		if (errno != EINTR)
			return -1;
	}
}

int conn_accept(struct conn *c, int listen_fd, int timeout_ms)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	for (;;) {
		int ret = wait_for(listen_fd, POLLIN, timeout_ms);

		if (ret > 0)
			return 1;
		c->fd = ret ? -1 : accept4(listen_fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC);
		if (c->fd >= 0)
			break;
		if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN)
			continue;
		pr_perror("Can't accept a connection");
		return -1;
	}
	c->eof = c->quiet = false;
	c->tls = NULL;
	set_peer(c, (struct sockaddr *)&ss, len);
	tune(c->fd);
	pr_info("connection from %s", c->peer);
	return 0;
}

static int connect_to(const struct addrinfo *a, int timeout_ms)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;
	socklen_t len = sizeof(err);

	if (fd < 0)
		return -1;
	begin_without_pacing(fd);
	err = connect(fd, a->ai_addr, a->ai_addrlen) ? errno : 0;
	if (err == EINPROGRESS) {
		err = wait_for(fd, POLLOUT, timeout_ms) ? ETIMEDOUT : 0;
		if (!err)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	}
	if (!err && !set_nonblock(fd, false))
		return fd;
	err = err ?: errno;
	close(fd);
	errno = err;
	return -1;
}

int conn_connect(struct conn *c, const char *address, int port, int timeout_ms, bool quiet)
{
	struct addrinfo *list = resolve(address, port, 0), *a;
	int err = 0;

	*c = (struct conn)CONN_INIT;
	if (!list || tls_prepare(TLS_CLIENT, dirs.images)) {
		if (list)
			freeaddrinfo(list);
		return -1;
	}
	for (a = list; a && c->fd < 0; a = a->ai_next) {
		set_peer(c, a->ai_addr, a->ai_addrlen);
		c->fd = connect_to(a, timeout_ms);
		err = errno;
	}
	freeaddrinfo(list);
	if (c->fd < 0) {
		errno = err;
		if (!quiet)
			pr_err("Can't connect to %s: %s. Is the other side's criu listening there,"
			       " and does no firewall stop it?",
			       c->peer, strerror(err));
		errno = err;
		return -1;
	}
	tune(c->fd);
	c->quiet = quiet;
	if (conn_secure(c, TLS_CLIENT)) {
		conn_close(c);
		errno = EPROTO;
		return -1;
	}
	c->quiet = false;
	pr_info("connected to %s", c->peer);
	return 0;
}

int conn_from_fd(struct conn *c, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len)) {
		pr_perror("Descriptor %d of --ps-socket is not a connected socket", fd);
		return -1;
	}
	set_nonblock(fd, false);
	*c = (struct conn){ .fd = fd };
	set_peer(c, (struct sockaddr *)&ss, len);
	tune(fd);
	return 0;
}

int conn_secure(struct conn *c, enum tls_role role)
{
	if (!tls_wanted())
		return 0;
	if (tls_prepare(role, dirs.images))
		return -1;
	c->tls = tls_start(c->fd, role, c->peer, HANDSHAKE_MS, c->quiet);
	return c->tls ? 0 : -1;
}

void conn_close(struct conn *c)
{
	if (c->tls)
		tls_end(c->tls);
	c->tls = NULL;
	close_safe(&c->fd);
}

int conn_send(struct conn *c, const void *buf, size_t len)
{
	struct iovec iov = { (void *)buf, len };

	return conn_sendv(c, &iov, 1);
}

static int send_raw(int fd, struct iovec *iov, unsigned nr)
{
	iov_advance(&iov, &nr, 0);
	while (nr) {
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = nr };
		ssize_t n;

		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		iov_advance(&iov, &nr, n);
	}
	return 0;
}

/* errno of a connection, in words. */
static const char *reason(struct conn *c)
{
	if (errno == EPROTO && c->tls)
		return tls_error(c->tls);
	return errno == EAGAIN ? "nothing moved for too long" : strerror(errno);
}

int conn_sendv(struct conn *c, struct iovec *iov, unsigned nr)
{
	if (!(c->tls ? tls_sendv(c->tls, iov, nr) : send_raw(c->fd, iov, nr)))
		return 0;
	if (!c->quiet)
		pr_err("Can't send to %s: %s", c->peer, reason(c));
	return -1;
}

static ssize_t take(struct conn *c, void *buf, size_t len, int flags)
{
	ssize_t n;

	size_t done = 0;

	if (c->tls)
		return tls_take(c->tls, buf, len, flags);
	for (int calls = 0;; calls++) {
		n = recv(c->fd, (char *)buf + done, len - done, flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) /* whatever came before */
			return -1;
		if (n <= 0)
			return done ? (ssize_t)done : n;
		done += n;
		if (done == len || !(flags & MSG_WAITALL))
			return done;
		/* a signal ended it early, or the time-out of the socket, which nobody may stretch byte by byte */
		if (calls == 3) {
			errno = EAGAIN;
			return -1;
		}
	}
}

ssize_t conn_take(struct conn *c, void *buf, size_t len, int flags)
{
	ssize_t n = take(c, buf, len, flags);

	if (n < 0 && errno == EPROTO && c->tls && !c->quiet)
		pr_err("Can't receive from %s: %s", c->peer, tls_error(c->tls));
	return n;
}

bool conn_pending(struct conn *c)
{
	return c->tls && tls_pending(c->tls);
}

int conn_recv(struct conn *c, void *buf, size_t len)
{
	ssize_t n = take(c, buf, len, MSG_WAITALL);

	if (n == (ssize_t)len)
		return 0;
	c->eof = !n;
	if (c->quiet)
		return -1;
	if (n < 0)
		pr_err("Can't receive from %s: %s", c->peer, reason(c));
	else if (n)
		pr_err("%s closed the connection in the middle of a message", c->peer);
	return -1;
}

int conn_set_timeout(struct conn *c, unsigned timeout_s)
{
	struct timeval tv = { .tv_sec = timeout_s };

	if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
	    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv))) {
		pr_perror("Can't set the timeout of the connection to %s", c->peer);
		return -1;
	}
	return 0;
}
