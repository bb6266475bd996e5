// SPDX-License-Identifier: GPL-2.0-only
#include "net/inject.h"

#include <libnet.h>
#include <sys/socket.h>

#include "util/log.h"

static int build(libnet_t *l, const struct connection *c, bool fin, uint32_t seq, uint32_t ack)
{
	struct libnet_in6_addr from, to;

	if (libnet_build_tcp(c->dst_port, c->src_port, seq, ack, (fin ? TH_FIN : 0) | TH_ACK, 1024,
			     0, 0, LIBNET_TCP_H, NULL, 0, l, 0) < 0)
		return -1;
	if (c->family == AF_INET)
		return libnet_build_ipv4(LIBNET_IPV4_H + LIBNET_TCP_H, 0, 0, 0, 64, IPPROTO_TCP, 0,
					 c->dst[0], c->src[0], NULL, 0, l, 0);
	memcpy(&from, c->dst, sizeof(from));
	memcpy(&to, c->src, sizeof(to));
	return libnet_build_ipv6(0, 0, LIBNET_TCP_H, IPPROTO_TCP, 64, from, to, NULL, 0, l, 0);
}

int inject_segment(const struct connection *c, bool fin, uint32_t seq, uint32_t ack)
{
	char why[LIBNET_ERRBUF_SIZE] = "";
	libnet_t *l = libnet_init(c->family == AF_INET ? LIBNET_RAW4 : LIBNET_RAW6, NULL, why);
	int mark = NETWORK_LOCK_MARK, ret = -1;

	if (!l) {
		pr_err("Can't make a packet: %s", why);
		return -1;
	}
	if (!setsockopt(libnet_getfd(l), SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) &&
	    build(l, c, fin, seq, ack) >= 0 && libnet_write(l) > 0)
		ret = 0;
	if (ret)
		pr_err("Can't send a packet to this host: %s", libnet_geterror(l));
	libnet_destroy(l);
	return ret;
}
