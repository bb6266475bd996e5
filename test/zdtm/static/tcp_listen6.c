// SPDX-License-Identifier: GPL-2.0-only
/* Listening on IPv6: v6-only and dual, the dual one reached over IPv4. */
#include "zdtm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{
	struct sockaddr_in6 a[2] = { 0 }, now;
	struct sockaddr_in a4 = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(now);
	int fd[2], i, v, c;

	test_init(argc, argv);
	for (i = 0; i < 2; i++) {
		a[i].sin6_family = AF_INET6;
		a[i].sin6_addr = i ? in6addr_loopback : in6addr_any;
		fd[i] = socket(AF_INET6, SOCK_STREAM, 0);
		if (fd[i] < 0)
			skip("no IPv6");
		SYS(setsockopt(fd[i], IPPROTO_IPV6, IPV6_V6ONLY, &i, sizeof(i)));
		if (bind(fd[i], (void *)&a[i], sizeof(a[i])))
			skip("no IPv6 on loopback");
		SYS(listen(fd[i], 5));
		len = sizeof(a[i]);
		SYS(getsockname(fd[i], (void *)&a[i], &len));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(dup2(fd[0], fd[1]));
	for (i = 0; i < 2; i++) {
		len = sizeof(now);
		CHECK(!getsockname(fd[i], (void *)&now, &len) && !memcmp(&now, &a[i], sizeof(now)),
		      "address %d is another", i);
		len = sizeof(v);
		CHECK(!getsockopt(fd[i], IPPROTO_IPV6, IPV6_V6ONLY, &v, &len) && v == i,
		      "IPV6_V6ONLY of %d is %d", i, v);
		c = socket(AF_INET6, SOCK_STREAM, 0);
		a[i].sin6_addr = in6addr_loopback;
		CHECK(!connect(c, (void *)&a[i], sizeof(a[i])) && accept(fd[i], NULL, NULL) >= 0,
		      "no connection to %d", i);
	}
	a4.sin_port = a[0].sin6_port;
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&a4, sizeof(a4)) && accept(fd[0], NULL, NULL) >= 0,
	      "no IPv4 connection");
	pass();
}
