// SPDX-License-Identifier: GPL-2.0-only
/* Half-closed connections, and one whose peer is closed with data left. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	int wr[2], rd[2], gone[2], seq[2];
	char buf[32];

	test_init(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, wr));
	SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, rd));
	SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, gone));
	SYS(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, seq));
	SYS(send(wr[0], "last words", 10, 0));
	SYS(shutdown(wr[0], SHUT_WR));
	SYS(shutdown(rd[0], SHUT_RD));
	SYS(send(gone[0], "testament", 9, 0));
	close(gone[0]);
	SYS(send(seq[0], "end", 3, 0));
	SYS(shutdown(seq[0], SHUT_RDWR));
	test_daemon();
	test_waitsig();
	SABOTAGE(recv(gone[1], buf, 1, 0));
	CHECK(recv(wr[1], buf, 32, 0) == 10 && recv(wr[1], buf, 32, 0) == 0,
	      "SHUT_WR: no end of file behind the data");
	CHECK(send(wr[0], "x", 1, 0) == -1 && errno == EPIPE, "SHUT_WR is lost");
	CHECK(send(wr[1], "x", 1, 0) == 1 && recv(wr[0], buf, 32, 0) == 1,
	      "SHUT_WR: the other direction is closed too");
	CHECK(send(rd[1], "x", 1, 0) == -1 && errno == EPIPE, "SHUT_RD is lost");
	CHECK(send(rd[0], "x", 1, 0) == 1 && recv(rd[1], buf, 32, 0) == 1,
	      "SHUT_RD: the other direction is closed too");
	CHECK(recv(gone[1], buf, 32, 0) == 9 && !memcmp(buf, "testament", 9) &&
		      recv(gone[1], buf, 32, 0) == 0,
	      "the closed peer's data are lost");
	CHECK(send(gone[1], "x", 1, 0) == -1 && errno == EPIPE, "the closed peer is there again");
	CHECK(recv(seq[1], buf, 32, 0) == 3 && recv(seq[1], buf, 32, 0) == 0, "SHUT_RDWR");
	pass();
}
