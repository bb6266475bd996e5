// SPDX-License-Identifier: GPL-2.0-only
/* A listening TCP socket: the same address, and connections are accepted. */
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
	int fd, c, s, v;
	char buf[8];

	test_init(argc, argv);
	fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	SYS(bind(fd, (void *)&a, sizeof(a)));
	SYS(listen(fd, 7));
	SYS(getsockname(fd, (void *)&a, &len));
	test_daemon();
	test_waitsig();
	SABOTAGE(close(fd); fd = socket(AF_INET, SOCK_STREAM, 0); listen(fd, 7));
	CHECK(!getsockname(fd, (void *)&now, &len) && !memcmp(&now, &a, sizeof(a)),
	      "the port is %d, was %d", ntohs(now.sin_port), ntohs(a.sin_port));
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
	len = sizeof(v);
	CHECK(!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &len) && v, "it does not listen");
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&a, sizeof(a)), "connect");
	write_all(c, "hello", 5);
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 1000);
	s = accept(fd, NULL, NULL);
	CHECK(s >= 0 && read(s, buf, 8) == 5 && !memcmp(buf, "hello", 5), "accept");
	pass();
}
