// SPDX-License-Identifier: GPL-2.0-only
/* TCP sockets that neither listen nor are connected: fresh, and bound. */
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
	int fresh, bound;

	test_init(argc, argv);
	fresh = SYS(socket(AF_INET, SOCK_STREAM, 0));
	bound = SYS(socket(AF_INET, SOCK_STREAM, 0));
	SYS(bind(bound, (void *)&a, sizeof(a)));
	SYS(getsockname(bound, (void *)&a, &len));
	test_daemon();
	test_waitsig();
	SABOTAGE(dup2(fresh, bound));
	CHECK(!getsockname(bound, (void *)&now, &len) && !memcmp(&now, &a, sizeof(a)),
	      "the port is %d, was %d", ntohs(now.sin_port), ntohs(a.sin_port));
	CHECK(!listen(bound, 3), "listen");
	CHECK(!connect(fresh, (void *)&a, sizeof(a)) && accept(bound, NULL, NULL) >= 0,
	      "the fresh one cannot connect");
	pass();
}
