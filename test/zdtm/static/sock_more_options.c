// SPDX-License-Identifier: GPL-2.0-only
/* Options of sockets for which CRIU's images have no place: each kind of socket has those that it can have. */
#include "zdtm.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static const struct {
	int level, name, value;
} options[] = {
	{ SOL_SOCKET, SO_TIMESTAMPNS, 1 },
	{ SOL_SOCKET, SO_RXQ_OVFL, 1 },
	{ SOL_SOCKET, SO_PEEK_OFF, 3 },
	{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1 },
	{ SOL_SOCKET, SO_MAX_PACING_RATE, 1000000 },
	{ SOL_SOCKET, SO_ZEROCOPY, 1 },
	{ IPPROTO_IP, IP_TOS, 0x10 },
	{ IPPROTO_IP, IP_TTL, 12 },
	{ IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE },
	{ IPPROTO_IP, IP_RECVERR, 1 },
	{ IPPROTO_IP, IP_RECVTTL, 1 },
	{ IPPROTO_IP, IP_RECVTOS, 1 },
	{ IPPROTO_IP, IP_TRANSPARENT, 1 },
	{ IPPROTO_IP, IP_MINTTL, 5 },
	{ IPPROTO_IP, IP_MULTICAST_TTL, 7 },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, 0 },
	{ IPPROTO_IP, IP_MULTICAST_ALL, 0 },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, 13 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 8 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0 },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE },
	{ IPPROTO_IPV6, IPV6_RECVERR, 1 },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1 },
	{ IPPROTO_IPV6, IPV6_DONTFRAG, 1 },
	{ IPPROTO_IPV6, IPV6_TCLASS, 0x20 },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, 1 },
	{ IPPROTO_TCP, TCP_SYNCNT, 3 },
	{ IPPROTO_TCP, TCP_LINGER2, 17 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, 7 },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, 12345 },
	{ IPPROTO_TCP, TCP_FASTOPEN, 9 },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, 5000 },
	{ IPPROTO_TCP, TCP_SAVE_SYN, 1 },
	{ IPPROTO_UDP, 103 /* UDP_SEGMENT */, 1200 },
	{ IPPROTO_UDP, 104 /* UDP_GRO */, 1 },
};

static const struct {
	int domain, type;
} kinds[] = {
	{ AF_INET, SOCK_STREAM }, { AF_INET6, SOCK_STREAM }, { AF_INET, SOCK_DGRAM },
	{ AF_INET6, SOCK_DGRAM }, { AF_UNIX, SOCK_DGRAM },
};

struct said {
	int ret, value;
};

static struct said ask(int fd, unsigned i)
{
	struct said s = { 0 };
	socklen_t len = sizeof(s.value);

	s.ret = getsockopt(fd, options[i].level, options[i].name, &s.value, &len);
	return s;
}

int main(int argc, char **argv)
{
	struct said want[ARRAY_LEN(kinds)][ARRAY_LEN(options)], now;
	int fd[ARRAY_LEN(kinds)], zero = 0;
	char ca[2][16] = { "" };
	socklen_t len = sizeof(ca[0]);
	unsigned nr = 0;

	test_init(argc, argv);
	for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
		fd[k] = SYS(socket(kinds[k].domain, kinds[k].type, 0));
		for (unsigned i = 0; i < ARRAY_LEN(options); i++)
			nr += !setsockopt(fd[k], options[i].level, options[i].name,
					  &options[i].value, sizeof(int));
		/* one changes another at times: they are looked at when all are set */
		for (unsigned i = 0; i < ARRAY_LEN(options); i++)
			want[k][i] = ask(fd[k], i);
	}
	CHECK(nr > 60, "only %u options can be set", nr);
	setsockopt(fd[0], IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	SYS(getsockopt(fd[0], IPPROTO_TCP, TCP_CONGESTION, ca[0], &len));
	test_daemon();
	test_waitsig();
	SABOTAGE(setsockopt(fd[3], IPPROTO_IPV6, IPV6_RECVTCLASS, &zero, sizeof(zero)));
	for (unsigned k = 0; k < ARRAY_LEN(kinds); k++)
		for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
			now = ask(fd[k], i);
			CHECK(now.ret == want[k][i].ret && now.value == want[k][i].value,
			      "socket %u: option %d of level %d is %d, was %d", k, options[i].name,
			      options[i].level, now.value, want[k][i].value);
		}
	len = sizeof(ca[1]);
	CHECK(!getsockopt(fd[0], IPPROTO_TCP, TCP_CONGESTION, ca[1], &len) && !strcmp(ca[0], ca[1]),
	      "congestion control is %s, was %s", ca[1], ca[0]);
	pass();
}
