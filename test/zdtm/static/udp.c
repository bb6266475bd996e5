// SPDX-License-Identifier: GPL-2.0-only
/* UDP: bound, connected, IPv6, with options; datagrams flow. */
#include "zdtm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
			   now;
	socklen_t len = sizeof(a);
	int bound, connected, fresh, on = 1, v = 0;
	char buf[16];

	test_init(argc, argv);
	bound = SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	SYS(setsockopt(bound, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)));
	SYS(setsockopt(bound, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)));
	SYS(bind(bound, (void *)&a, sizeof(a)));
	SYS(getsockname(bound, (void *)&a, &len));
	connected = SYS(socket(AF_INET, SOCK_DGRAM, 0));
	SYS(connect(connected, (void *)&a, sizeof(a)));
	fresh = SYS(socket(AF_INET6, SOCK_DGRAM, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(close(connected); connected = socket(AF_INET, SOCK_DGRAM, 0));
	CHECK(!getsockname(bound, (void *)&now, &len) && !memcmp(&now, &a, sizeof(a)),
	      "the port is %d, was %d", ntohs(now.sin_port), ntohs(a.sin_port));
	CHECK(!getpeername(connected, (void *)&now, &len) && !memcmp(&now, &a, sizeof(a)),
	      "it is connected to %d, was to %d", ntohs(now.sin_port), ntohs(a.sin_port));
	CHECK(send(connected, "datagram", 8, 0) == 8 && recv(bound, buf, 16, 0) == 8 &&
		      !memcmp(buf, "datagram", 8),
	      "no datagram comes");
	len = sizeof(v);
	CHECK(!getsockopt(bound, SOL_SOCKET, SO_BROADCAST, &v, &len) && v, "SO_BROADCAST is lost");
	CHECK(fcntl(bound, F_GETFD) == FD_CLOEXEC, "close-on-exec is lost");
	len = sizeof(v);
	CHECK(!getsockopt(fresh, SOL_SOCKET, SO_DOMAIN, &v, &len) && v == AF_INET6,
	      "the fresh one is of family %d", v);
	pass();
}
