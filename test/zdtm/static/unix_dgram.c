// SPDX-License-Identifier: GPL-2.0-only
/* Datagram sockets with names: one bound with data from several senders, connected ones, a peer that is connected elsewhere. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	struct sockaddr_un server = { AF_UNIX, "dgram" }, client = { AF_UNIX, "client" }, from;
	int srv, anon, named;
	struct gate g;
	socklen_t len;
	char buf[32];
	pid_t pid;

	test_init(argc, argv);
	srv = SYS(socket(AF_UNIX, SOCK_DGRAM, 0));
	SYS(bind(srv, (void *)&server, sizeof(server)));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		close(srv);
		named = SYS(socket(AF_UNIX, SOCK_DGRAM, 0));
		SYS(bind(named, (void *)&client, sizeof(client)));
		SYS(connect(named, (void *)&server, sizeof(server)));
		SYS(send(named, "from client", 11, 0));
		gate_open(&g);
		test_waitsig();
		CHECK(send(named, "later", 5, 0) == 5, "the child cannot send");
		CHECK(recv(named, buf, 32, 0) == 6, "the child gets no answer");
		_exit(0);
	}
	gate_wait(&g);
	anon = SYS(socket(AF_UNIX, SOCK_DGRAM, 0));
	SYS(connect(anon, (void *)&server, sizeof(server)));
	SYS(send(anon, "anonymous", 9, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(recv(srv, buf, 32, 0));
	CHECK(recv(srv, buf, 32, 0) == 11 && !memcmp(buf, "from client", 11),
	      "the first datagram differs");
	CHECK(recv(srv, buf, 32, 0) == 9 && !memcmp(buf, "anonymous", 9),
	      "the second datagram differs");
	CHECK(sendto(srv, "answer", 6, 0, (void *)&client, sizeof(client)) == 6,
	      "the name of the client leads nowhere");
	test_end(pid);
	len = sizeof(from);
	CHECK(recvfrom(srv, buf, 32, 0, (void *)&from, &len) == 5 &&
		      !strcmp(from.sun_path, "client"),
	      "what was sent later came from %s", from.sun_path);
	CHECK(send(anon, "x", 1, 0) == 1 && recv(srv, buf, 32, 0) == 1,
	      "the anonymous one is not connected");
	pass();
}
