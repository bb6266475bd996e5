// SPDX-License-Identifier: GPL-2.0-only
/* A connection that is not accepted yet, with data: it is accepted afterwards, or dump refuses. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	struct sockaddr_un a = { AF_UNIX, "queue" };
	char buf[8];
	int fd, c, s;

	test_init(argc, argv);
	fd = SYS(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	SYS(bind(fd, (void *)&a, sizeof(a)));
	SYS(listen(fd, 4));
	c = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	SYS(connect(c, (void *)&a, sizeof(a)));
	SYS(send(c, "early", 5, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(close(accept(fd, NULL, NULL)));
	s = accept(fd, NULL, NULL);
	CHECK(s >= 0, "the waiting connection is lost");
	CHECK(recv(s, buf, 8, 0) == 5 && !memcmp(buf, "early", 5), "its data are lost");
	CHECK(send(s, "x", 1, MSG_NOSIGNAL) == 1 && recv(c, buf, 8, 0) == 1, "it is broken");
	pass();
}
