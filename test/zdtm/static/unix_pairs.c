// SPDX-License-Identifier: GPL-2.0-only
/* Socket pairs of each type with data queued in both directions; message boundaries stay. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	static const int types[3] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	char in[20000], buf[20000];
	int s[3][2], i;

	test_init(argc, argv);
	fill(in, sizeof(in), 1);
	for (i = 0; i < 3; i++) {
		SYS(socketpair(AF_UNIX,
			       types[i] | (i == 1 ? SOCK_NONBLOCK : 0) |
				       (i == 2 ? SOCK_CLOEXEC : 0),
			       0, s[i]));
		SYS(send(s[i][0], in, 9000, 0));
		SYS(send(s[i][0], in + 9000, 11000, 0));
		SYS(send(s[i][1], "back", 4, 0));
		SYS(send(s[i][1], "and again", 9, 0));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(recv(s[2][1], buf, 1, 0));
	for (i = 0; i < 3; i++) {
		if (types[i] == SOCK_STREAM) {
			read_all(s[i][1], buf, 20000);
		} else {
			CHECK(recv(s[i][1], buf, 20000, 0) == 9000,
			      "type %d: the first message has another length", types[i]);
			CHECK(recv(s[i][1], buf + 9000, 20000 - 9000, 0) == 11000,
			      "type %d: the second message has another length", types[i]);
		}
		CHECK(!memcmp(in, buf, 20000), "type %d: the data differ", types[i]);
		CHECK(recv(s[i][0], buf, 100, 0) == (i ? 4 : 13) && !memcmp(buf, "back", 4),
		      "type %d: the data in the other direction differ", types[i]);
		CHECK(i == 0 || (recv(s[i][0], buf, 100, 0) == 9 && !memcmp(buf, "and again", 9)),
		      "type %d: the second message back differs", types[i]);
		CHECK(recv(s[i][0], buf, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN,
		      "type %d: there is more", types[i]);
		CHECK(send(s[i][0], "x", 1, 0) == 1 && recv(s[i][1], buf, 9, 0) == 1,
		      "type %d: nothing comes through any more", types[i]);
	}
	CHECK(fcntl(s[1][0], F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
	CHECK(fcntl(s[2][0], F_GETFD) == FD_CLOEXEC, "close-on-exec is lost");
	pass();
}
