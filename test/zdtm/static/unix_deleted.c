// SPDX-License-Identifier: GPL-2.0-only
/* A listening socket whose file is unlinked: the connection that it accepted goes on, its name has no file. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	struct sockaddr_un a = { AF_UNIX, "unlinked" }, now;
	int fd, c, s, again;
	socklen_t len;
	char buf[8];

	test_init(argc, argv);
	fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	SYS(bind(fd, (void *)&a, sizeof(a)));
	SYS(listen(fd, 4));
	c = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	SYS(connect(c, (void *)&a, sizeof(a)));
	s = SYS(accept(fd, NULL, NULL));
	SYS(unlink("unlinked"));
	test_daemon();
	test_waitsig();
	SABOTAGE(close(c));
	len = sizeof(now);
	CHECK(!getsockname(fd, (void *)&now, &len) && !strcmp(now.sun_path, "unlinked"),
	      "the name is %s", now.sun_path);
	CHECK(access("unlinked", F_OK), "the name has a file again");
	CHECK(send(c, "x", 1, MSG_NOSIGNAL) == 1 && recv(s, buf, 8, 0) == 1,
	      "the connection is broken");
	again = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(again, (void *)&a, sizeof(a)), "the name cannot be used again");
	pass();
}
