/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connections between hosts: listen, accept, connect, send and receive all of it. Used by the page server in
 * both directions, lazy-pages and dump --lazy-pages. Every connection is TCP without Nagle's delay and with keepalive
 * (tcp(7)), so that a dead peer is noticed within a minute. Errors name the peer. With --tls or --tls-psk everything is encrypted
 * (tls.h): whoever uses c->fd itself may only wait on it, shut it down, or see conn_raw().
 */
#ifndef CRIU_NET_CONN_H
#define CRIU_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/tls.h"

struct conn {
	int fd;		 /* -1: not connected */
	char peer[108];	 /* "10.0.0.1:9876", for messages */
	bool quiet;	 /* it may end at any moment now: errors are not logged */
	bool eof;	 /* conn_recv() met the end of the connection at its first byte */
	struct tls *tls; /* NULL: plain */
};
#define CONN_INIT        \
	{                \
		.fd = -1 \
	}

/*
 * Listens on ADDRESS (a name or number; NULL: every address) and PORT (0: the kernel picks, and it is printed
 * on stdout). The descriptor, or -1 logged. *PORT is what it became. Warns where everybody could connect.
 */
int conn_listen(const char *address, int *port);
/* Waits up to TIMEOUT_MS (-1: for ever) for a client. 0; 1: nobody came; -1 logged. conn_secure() follows. */
int conn_accept(struct conn *c, int listen_fd, int timeout_ms);
/* Connects within TIMEOUT_MS. -1 logged, with what could be wrong; QUIET: not logged, errno set. */
int conn_connect(struct conn *c, const char *address, int port, int timeout_ms, bool quiet);
/* Takes a connected socket that was handed in (--ps-socket). conn_secure() follows. */
int conn_from_fd(struct conn *c, int fd);
/*
 * The handshake of TLS where it is wanted; after conn_accept() and conn_from_fd(), by the thread that owns the connection, since it waits for the
 * peer (10 s at most). -1: logged, nothing may be sent or received.
 */
int conn_secure(struct conn *c, enum tls_role role);
void conn_close(struct conn *c);

/* All of it, blocking. -1 logged. */
int conn_send(struct conn *c, const void *buf, size_t len);
int conn_sendv(struct conn *c, struct iovec *iov, unsigned nr); /* uses up iov */
/* Exactly LEN bytes. -1: logged, but where the peer closed before the first byte: then c->eof is set and nothing is logged. */
int conn_recv(struct conn *c, void *buf, size_t len);
/*
 * As recv(2), with MSG_DONTWAIT or MSG_WAITALL: the bytes that came, 0 at the end, -1 with errno. Only what TLS says is logged (errno EPROTO).
 */
ssize_t conn_take(struct conn *c, void *buf, size_t len, int flags);
/* More has come than the descriptor shows to epoll(7) or poll(2): to be taken before one waits. */
bool conn_pending(struct conn *c);
/* Bytes may be written to c->fd by anybody, as by a task: there is no TLS. */
static inline bool conn_raw(const struct conn *c)
{
	return !c->tls;
}
/* How long a single send or receive may stall; 0: for ever. */
int conn_set_timeout(struct conn *c, unsigned timeout_s);

#endif
