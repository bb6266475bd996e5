/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One packet made by hand (libnet): how a restored TCP socket is told that its peer had closed, or had seen its own end. Called by files/tcp.c.
 */
#ifndef CRIU_NET_INJECT_H
#define CRIU_NET_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/lock.h"

/* An empty segment, or a FIN, as the peer of C would send it, to this host, past the rules of net/lock.h. -1 logged. */
int inject_segment(const struct connection *c, bool fin, uint32_t seq, uint32_t ack);

#endif
