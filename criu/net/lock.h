/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holding TCP connections still: while a connection is between two hosts, or two runs, nobody may answer its packets, or the
 * peer takes it for reset. Rules drop them from dump until restore: iptables or nftables, as --network-lock says.
 * Called by files/tcp.c. Packets with NETWORK_LOCK_MARK pass.
 */
#ifndef CRIU_NET_LOCK_H
#define CRIU_NET_LOCK_H

#include <stddef.h>
#include <stdint.h>

#define NETWORK_LOCK_MARK 0xc114

struct connection {
	int family;		   /* AF_INET, AF_INET6 */
	const uint32_t *src, *dst; /* network order */
	uint16_t src_port, dst_port;
};

/* IPv4 addresses inside IPv6 ones become plain: what is on the wire. */
struct connection network_plain(const struct connection *c);

/* All in one run of the tool. ID names the checkpoint: the root task's pid in the images. -1 logged. */
int network_lock(const struct connection *c, size_t nr, int id);
/* The same rules go; rules that are not there are none of our business. */
int network_unlock(const struct connection *c, size_t nr, int id);
/* ... by whoever does not know in which of the ways they were made. */
void network_unlock_any(const struct connection *c, size_t nr, int id);

#endif
