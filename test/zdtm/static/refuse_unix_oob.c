// SPDX-License-Identifier: GPL-2.0-only
/* A byte out of band in a UNIX stream: dump must name it, and leave it where it is. */
#include "zdtm.h"

#include <sys/socket.h>

int main(int argc, char **argv)
{
	char buf[16];
	int s[2];

	test_init(argc, argv);
	SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	SYS(send(s[1], "abc", 3, 0));
	if (send(s[1], "X", 1, MSG_OOB) != 1)
		skip("no data out of band");
	test_daemon();
	test_waitsig();
	CHECK(recv(s[0], buf, 1, MSG_OOB) == 1 && *buf == 'X', "the byte is gone");
	CHECK(recv(s[0], buf, sizeof(buf), 0) == 3 && !memcmp(buf, "abc", 3), "the rest");
	pass();
}
