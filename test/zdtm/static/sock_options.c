// SPDX-License-Identifier: GPL-2.0-only
/* Options of sockets: buffers, addresses reused, keepalive, linger, timeouts, priority, TCP's own. */
#include "zdtm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
static const struct {
	int level, name, value;
	const char *text;
} options[] = {
	{ SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR" },
	{ SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT" },
	{ SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE" },
	{ SOL_SOCKET, SO_BROADCAST, 1, "SO_BROADCAST" },
	{ SOL_SOCKET, SO_OOBINLINE, 1, "SO_OOBINLINE" },
	{ SOL_SOCKET, SO_DONTROUTE, 1, "SO_DONTROUTE" },
	{ SOL_SOCKET, SO_SNDBUF, 30000, "SO_SNDBUF" },
	{ SOL_SOCKET, SO_RCVBUF, 40000, "SO_RCVBUF" },
	{ SOL_SOCKET, SO_PRIORITY, 3, "SO_PRIORITY" },
	{ IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY" },
	{ IPPROTO_TCP, TCP_KEEPIDLE, 123, "TCP_KEEPIDLE" },
	{ IPPROTO_TCP, TCP_KEEPINTVL, 45, "TCP_KEEPINTVL" },
	{ IPPROTO_TCP, TCP_KEEPCNT, 6, "TCP_KEEPCNT" },
	{ IPPROTO_IP, IP_TOS, 0x10, "IP_TOS" },
	{ IPPROTO_IP, IP_TTL, 33, "IP_TTL" },
};
/* two sockets on one port need SO_REUSEPORT on both */
int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval tv = { 12, 344000 }, now;
	struct linger lg = { 1, 17 }, lgnow;
	int fd[2], want[2][ARRAY_LEN(options)], v, k;
	socklen_t len = sizeof(a);
	unsigned i;

	test_init(argc, argv);
	for (k = 0; k < 2; k++) {
		fd[k] = SYS(socket(AF_INET, SOCK_STREAM, 0));
		for (i = 0; i < ARRAY_LEN(options); i++)
			if (!k || i < 2)
				SYS(setsockopt(fd[k], options[i].level, options[i].name,
					       &options[i].value, sizeof(int)));
		/* IP_TOS has changed SO_PRIORITY */
		for (i = 0; i < ARRAY_LEN(options); i++) {
			len = sizeof(int);
			SYS(getsockopt(fd[k], options[i].level, options[i].name, &want[k][i],
				       &len));
		}
		SYS(setsockopt(fd[k], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
		SYS(setsockopt(fd[k], SOL_SOCKET, SO_LINGER, &lg, sizeof(lg)));
		SYS(bind(fd[k], (void *)&a, sizeof(a)));
		SYS(listen(fd[k], 3));
		len = sizeof(a);
		SYS(getsockname(fd[k], (void *)&a, &len));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(v = 0; setsockopt(fd[0], SOL_SOCKET, SO_OOBINLINE, &v, sizeof(v)));
	for (k = 0; k < 2; k++) {
		for (i = 0; i < ARRAY_LEN(options); i++) {
			len = sizeof(int);
			CHECK(!getsockopt(fd[k], options[i].level, options[i].name, &v, &len) &&
				      v == want[k][i],
			      "%s of socket %d is %d, was %d", options[i].text, k, v, want[k][i]);
		}
		len = sizeof(now);
		CHECK(!getsockopt(fd[k], SOL_SOCKET, SO_RCVTIMEO, &now, &len) &&
			      !memcmp(&now, &tv, len),
		      "SO_RCVTIMEO is %ld.%06ld", now.tv_sec, now.tv_usec);
		len = sizeof(lgnow);
		CHECK(!getsockopt(fd[k], SOL_SOCKET, SO_LINGER, &lgnow, &len) &&
			      !memcmp(&lgnow, &lg, len),
		      "SO_LINGER is %d, %d", lgnow.l_onoff, lgnow.l_linger);
	}
	pass();
}
