// SPDX-License-Identifier: GPL-2.0-only
/* Connections over a listening socket inside the tree: names, peers, data in flight, of parent and child. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	struct sockaddr_un a = { AF_UNIX, "server" }, now;
	int fd, s, c;
	socklen_t len;
	struct gate g;
	char buf[32];
	pid_t pid;

	test_init(argc, argv);
	fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	SYS(bind(fd, (void *)&a, sizeof(a)));
	SYS(listen(fd, 4));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		close(fd);
		c = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
		SYS(connect(c, (void *)&a, sizeof(a)));
		SYS(send(c, "request", 7, 0));
		gate_open(&g);
		test_waitsig();
		len = sizeof(now);
		CHECK(!getpeername(c, (void *)&now, &len) && !strcmp(now.sun_path, "server"),
		      "the peer's name is %s", now.sun_path);
		CHECK(recv(c, buf, 32, 0) == 6 && !memcmp(buf, "answer", 6), "the answer differs");
		CHECK(send(c, "thanks", 6, 0) == 6, "send");
		_exit(0);
	}
	gate_wait(&g);
	s = SYS(accept(fd, NULL, NULL));
	SYS(send(s, "answer", 6, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(recv(s, buf, 1, 0));
	len = sizeof(now);
	CHECK(!getsockname(s, (void *)&now, &len) && !strcmp(now.sun_path, "server"),
	      "the name is %s", now.sun_path);
	CHECK(recv(s, buf, 7, 0) == 7 && !memcmp(buf, "request", 7), "the request differs");
	test_end(pid);
	CHECK(recv(s, buf, 32, 0) == 6 && !memcmp(buf, "thanks", 6), "what was sent later differs");
	CHECK(recv(s, buf, 32, 0) == 0, "no end of file");
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&a, sizeof(a)), "the server does not listen");
	pass();
}
