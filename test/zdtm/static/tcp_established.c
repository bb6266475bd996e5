// SPDX-License-Identifier: GPL-2.0-only
/* TCP connections inside the tree, over IPv4 and IPv6: what waits in both directions, options, halves that were closed. */
#include "zdtm.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>

struct link {
	int listening, client, server;
};

static void connect_pair(struct link *l, int family)
{
	struct sockaddr_in6 a = { .sin6_family = family };
	struct sockaddr_in *a4 = (struct sockaddr_in *)&a;
	socklen_t len = family == AF_INET ? sizeof(*a4) : sizeof(a);

	if (family == AF_INET)
		a4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		a.sin6_addr = in6addr_loopback;
	l->listening = SYS(socket(family, SOCK_STREAM, 0));
	/* a closed end that the kernel keeps for a while must not block the port */
	SYS(setsockopt(l->listening, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)));
	SYS(bind(l->listening, (void *)&a, len));
	SYS(listen(l->listening, 5));
	SYS(getsockname(l->listening, (void *)&a, &len));
	l->client = SYS(socket(family, SOCK_STREAM, 0));
	SYS(connect(l->client, (void *)&a, len));
	l->server = SYS(accept(l->listening, NULL, NULL));
}

static int state_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	SYS(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_state;
}

static void expect(int fd, const char *text)
{
	char buf[64] = "";
	size_t len = strlen(text), got = 0;

	while (got < len) {
		ssize_t n = read(fd, buf + got, len - got);

		if (n <= 0)
			break;
		got += n;
	}
	CHECK(got == len && !memcmp(buf, text, len), "read \"%s\" instead of \"%s\"", buf, text);
}

int main(int argc, char **argv)
{
	struct link v4, v6, half, closed, shut;
	struct sockaddr_in6 before, now;
	socklen_t len = sizeof(before);
	int one = 1, value;
	char c;

	test_init(argc, argv);
	connect_pair(&v4, AF_INET);
	connect_pair(&v6, AF_INET6);
	connect_pair(&half, AF_INET);
	/* the client is in CLOSE_WAIT, and its peer out of sight; then one end of each half is closed within the tree */
	connect_pair(&closed, AF_INET6);
	write_all(closed.server, "bye", 3);
	SYS(close(closed.server));
	connect_pair(&shut, AF_INET);
	write_all(shut.client, "fin", 3);
	SYS(shutdown(shut.client, SHUT_WR));
	AWAIT(state_of(shut.client) == TCP_FIN_WAIT2);
	SYS(setsockopt(v4.client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	SYS(setsockopt(v4.server, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	SYS(getsockname(v4.client, (void *)&before, &len));
	write_all(v4.client, "to the server", 13);
	write_all(v4.server, "to the client", 13);
	write_all(v6.server, "by six", 6);
	test_daemon();
	test_waitsig();
	SABOTAGE(read(v4.server, &c, 1));
	expect(v4.server, "to the server");
	expect(v4.client, "to the client");
	expect(v6.client, "by six");
	for (int i = 0; i < 3; i++) {
		write_all(v4.client, "ping", 4);
		expect(v4.server, "ping");
		write_all(v6.server, "pong", 4);
		expect(v6.client, "pong");
	}
	len = sizeof(now);
	CHECK(!getsockname(v4.client, (void *)&now, &len) && !memcmp(&now, &before, len),
	      "the client's address is another");
	len = sizeof(value);
	CHECK(!getsockopt(v4.client, IPPROTO_TCP, TCP_NODELAY, &value, &len) && value,
	      "TCP_NODELAY is off");
	CHECK(!getsockopt(v4.server, SOL_SOCKET, SO_KEEPALIVE, &value, &len) && value,
	      "SO_KEEPALIVE is off");
	expect(closed.client, "bye");
	CHECK(read(closed.client, &c, 1) == 0, "no end of file after the peer's close");
	expect(shut.server, "fin");
	CHECK(read(shut.server, &c, 1) == 0, "no end of file after shutdown");
	write_all(shut.server, "answer", 6);
	expect(shut.client, "answer");
	write_all(half.server, "last words", 10);
	close(half.server);
	expect(half.client, "last words");
	CHECK(read(half.client, &c, 1) == 0, "no end of file");
	/* new ones can still come */
	close(v4.client);
	CHECK(read(v4.server, &c, 1) == 0, "no end of file at the server");
	pass();
}
