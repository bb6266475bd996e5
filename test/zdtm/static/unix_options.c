// SPDX-License-Identifier: GPL-2.0-only
/* Options of UNIX sockets: credentials passed, buffer sizes, timeouts, peek offset. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	struct timeval tv = { 3, 500000 }, now;
	int s[2], on = 1, v, size, want;
	socklen_t len = sizeof(v);

	test_init(argc, argv);
	SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	SYS(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	size = 50000;
	SYS(setsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	SYS(getsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &want, &len));
	SYS(setsockopt(s[1], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	test_daemon();
	test_waitsig();
	SABOTAGE(on = 0; setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	CHECK(!getsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &v, &len) && v == 1, "SO_PASSCRED is %d",
	      v);
	CHECK(!getsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &v, &len) && v == 0,
	      "SO_PASSCRED of the other is %d", v);
	CHECK(!getsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &v, &len) && v == want,
	      "SO_SNDBUF is %d, was %d", v, want);
	len = sizeof(now);
	CHECK(!getsockopt(s[1], SOL_SOCKET, SO_SNDTIMEO, &now, &len) && !memcmp(&now, &tv, len),
	      "SO_SNDTIMEO is %ld.%06ld", now.tv_sec, now.tv_usec);
	pass();
}
