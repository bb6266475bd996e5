/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TLS on a connected socket, by GnuTLS: with X.509 certificates that both sides verify (--tls), or with a key of its own that lies
 * in the images directory (--tls-psk). conn.c puts it under a connection; whoever begins to listen or to connect calls tls_prepare()
 * before tasks are touched, so that a missing certificate harms nobody.
 *
 * One thread may send while another receives, as GnuTLS allows; two may not do the same at once.
 */
#ifndef CRIU_NET_TLS_H
#define CRIU_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tls;
enum tls_role { TLS_CLIENT, TLS_SERVER };

/* In the images directory, mode 0600: 32 bytes in hexadecimal digits. */
#define TLS_KEY_FILE "tls-psk.key"

/* Connections are to be encrypted (--tls or --tls-psk). */
bool tls_wanted(void);
/* A new command begins (RPC: several in one process): certificates and keys are read again. No connection is open. */
void tls_forget(void);
/* Reads certificates and keys, once. DIRFD: where TLS_KEY_FILE is. -1 logged. */
int tls_prepare(enum tls_role role, int dirfd);

/* Puts a fresh key into DIRFD; one that was there is replaced. -1 logged. */
int tls_key_make(int dirfd);
/* --tls-psk: makes one where there is none. One that is there stays: copies of the directory are out already. -1 logged. */
int tls_key_ensure(int dirfd);
/* Turns on --tls-psk where there is a key and --tls was not given. */
void tls_key_use_found(int dirfd);
/* Takes it away again: without one connections are plain. */
void tls_key_remove(int dirfd);

/* Handshake on FD, which stays the caller's, within TIMEOUT_MS. NULL: PEER was refused, or refused us; logged unless QUIET. */
struct tls *tls_start(int fd, enum tls_role role, const char *peer, int timeout_ms, bool quiet);
/* Says good-bye where that does not block, and frees. */
void tls_end(struct tls *t);

/* As recv(2) with MSG_DONTWAIT or MSG_WAITALL. errno EPROTO: tls_error() says more. */
ssize_t tls_take(struct tls *t, void *buf, size_t len, int flags);
/* Sends all of it. -1: errno, EPROTO as above. */
int tls_sendv(struct tls *t, const struct iovec *iov, int nr);
/* Bytes have arrived that are not in the socket any more. */
bool tls_pending(struct tls *t);
const char *tls_error(struct tls *t);

#endif
