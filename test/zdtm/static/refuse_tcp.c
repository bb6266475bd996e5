// SPDX-License-Identifier: GPL-2.0-only
/* An established TCP connection without --tcp-established. */
#include "zdtm.h"

#include <arpa/inet.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd, c, s;
	char buf[8];

	test_init(argc, argv);
	fd = SYS(socket(AF_INET, SOCK_STREAM, 0));
	SYS(bind(fd, (void *)&a, sizeof(a)));
	SYS(listen(fd, 1));
	SYS(getsockname(fd, (void *)&a, &len));
	c = SYS(socket(AF_INET, SOCK_STREAM, 0));
	SYS(connect(c, (void *)&a, sizeof(a)));
	s = SYS(accept(fd, NULL, NULL));
	test_daemon();
	test_waitsig();
	CHECK(send(c, "x", 1, 0) == 1 && recv(s, buf, 8, 0) == 1, "the connection is broken");
	pass();
}
