// SPDX-License-Identifier: GPL-2.0-only
#include "net/tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "net/gnutls.h"
#include "net/tls_keys.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define RECORD	 16384 /* what one record holds */
#define DRAIN_MS 200
/* AES-128 first: half the work of the others per byte, and no weaker against anybody who exists */
#define CIPHERS "-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"
#define X509	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" CIPHERS
/* with a key exchange of its own for each connection: the key alone does not open what was recorded */
#define PSK "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:" CIPHERS

struct tls {
	gnutls_session_t session;
	int fd;
	bool nowait, would_block; /* of the receiver */
	bool received;		  /* bytes of the peer: it has accepted us */
	int error;		  /* GNUTLS_E_*: the last one */
	char out[RECORD];	  /* small pieces are sent together */
	size_t out_len;
};

bool tls_wanted(void)
{
	return opts.tls || opts.tls_psk;
}

/* ---- the socket below ---- */

static ssize_t pull(gnutls_transport_ptr_t p, void *buf, size_t len)
{
	struct tls *t = p;
	ssize_t n = TEMP_FAILURE_RETRY(recv(t->fd, buf, len, t->nowait ? MSG_DONTWAIT : 0));

	t->would_block = n < 0 && errno == EAGAIN;
	return n;
}

/* All of it: GnuTLS takes a part for a connection that would block. */
static ssize_t push(gnutls_transport_ptr_t p, const giovec_t *iov, int nr)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = nr };
	int fd = ((struct tls *)p)->fd;
	ssize_t sent = TEMP_FAILURE_RETRY(sendmsg(fd, &msg, MSG_NOSIGNAL));
	size_t before = 0;

	for (int i = 0; i < nr && sent >= 0; before += iov[i++].iov_len) {
		size_t have = min((size_t)sent - min((size_t)sent, before), iov[i].iov_len);

		if (have == iov[i].iov_len)
			continue;
		if (send_full(fd, (char *)iov[i].iov_base + have, iov[i].iov_len - have))
			return -1;
		sent += iov[i].iov_len - have;
	}
	return sent;
}

static int pull_timeout(gnutls_transport_ptr_t p, unsigned ms)
{
	struct pollfd pfd = { .fd = ((struct tls *)p)->fd, .events = POLLIN };

	return TEMP_FAILURE_RETRY(poll(&pfd, 1, ms == GNUTLS_INDEFINITE_TIMEOUT ? -1 : (int)ms));
}

/* ---- handshake ---- */

/* Why the certificate of the other side is not good: a sentence, to be freed. */
static char *verdict(gnutls_session_t s)
{
	unsigned status = gnutls.session_get_verify_cert_status(s);
	gnutls_datum_t text = { 0 };
	char *why;

	if (gnutls.certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
		return xstrdup("its certificate is not trusted");
	while (text.size && text.data[text.size - 1] == ' ')
		text.data[--text.size] = 0;
	why = xasprintf("%s%s", text.data,
			status & GNUTLS_CERT_UNEXPECTED_OWNER
				? " (the name must be what --address says; --tls-no-cn-verify does "
				  "without)"
				: "");
	(*gnutls.free)(text.data);
	return why;
}

static const char *hint(struct tls *t, enum tls_role role)
{
	switch (t->error) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		if (opts.tls_psk)
			return role == TLS_SERVER ? ""
						  : ": " TLS_KEY_FILE " in the images directory is "
						    "not the one that this server made";
		return ": it does not accept our certificate, or was started with --tls-psk";
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
	case GNUTLS_E_UNEXPECTED_PACKET:
	case GNUTLS_E_PREMATURE_TERMINATION:
		return ": does it speak TLS? Both sides must be started with the same of --tls and "
		       "--tls-psk";
	case GNUTLS_E_DECRYPTION_FAILED:
	case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_NO_COMMON_KEY_SHARE:
		return opts.tls_psk ? ": it does not have the key in " TLS_KEY_FILE : "";
	}
	return "";
}

static void complain(struct tls *t, enum tls_role role, const char *peer)
{
	cleanup_free char *why = NULL;

	if (t->error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		why = verdict(t->session);
	else if (t->error == GNUTLS_E_CERTIFICATE_REQUIRED ||
		 t->error == GNUTLS_E_NO_CERTIFICATE_FOUND)
		why = xstrdup("it showed no certificate that a CA of --tls-cacert has signed");
	pr_err("%s %s: %s%s", role == TLS_SERVER ? "Refused" : "No TLS with", peer,
	       why ?: tls_error(t), why ? "" : hint(t, role));
}

/*
 * The client may have sent more already. Were the socket closed with that unread, the kernel would throw away the alert that tells the client
 * why it was refused.
 */
static void let_it_hear(int fd)
{
	char buf[4096];

	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 16; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, DRAIN_MS) <= 0 || recv(fd, buf, sizeof(buf), MSG_DONTWAIT) <= 0)
			return;
	}
}

static int handshake(struct tls *t, enum tls_role role, int timeout_ms)
{
	gnutls.handshake_set_timeout(t->session, timeout_ms);
	do
		t->error = gnutls.handshake(t->session);
	while (t->error < 0 && !gnutls.error_is_fatal(t->error));
	if (t->error >= 0)
		return 0;
	if (t->error != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls.alert_send_appropriate(t->session, t->error);
	if (role == TLS_SERVER)
		let_it_hear(t->fd);
	return -1;
}

struct tls *tls_start(int fd, enum tls_role role, const char *peer, int timeout_ms, bool quiet)
{
	struct tls *t = xzalloc(sizeof(*t));
	int ret;

	if (!t)
		return NULL;
	t->fd = fd;
	ret = gnutls.init(&t->session,
			  (role == TLS_SERVER ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_TICKETS);
	if (!ret)
		ret = gnutls.priority_set_direct(t->session, opts.tls ? X509 : PSK, NULL);
	if (!ret)
		ret = tls_keys_use(t->session, role);
	if (ret) {
		pr_err("Can't set up TLS: %s", gnutls.strerror(ret));
		gnutls.deinit(t->session);
		free(t);
		return NULL;
	}
	gnutls.transport_set_ptr(t->session, t);
	gnutls.transport_set_pull_function(t->session, pull);
	gnutls.transport_set_vec_push_function(t->session, push);
	gnutls.transport_set_pull_timeout_function(t->session, pull_timeout);
	if (!handshake(t, role, timeout_ms))
		return t;
	if (!quiet)
		complain(t, role, peer);
	gnutls.deinit(t->session);
	free(t);
	return NULL;
}

void tls_end(struct tls *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLOUT };

	if (!t->error && poll(&p, 1, 0) == 1 && !(p.revents & (POLLERR | POLLHUP)))
		gnutls.bye(t->session, GNUTLS_SHUT_WR);
	gnutls.deinit(t->session);
	free(t);
}

/* ---- bytes ---- */

const char *tls_error(struct tls *t)
{
	static __thread char text[160];

	gnutls_alert_description_t alert;

	if (t->error != GNUTLS_E_FATAL_ALERT_RECEIVED)
		return gnutls.strerror(t->error);
	alert = gnutls.alert_get(t->session);
	if (alert == GNUTLS_A_CERTIFICATE_REQUIRED)
		return "it refused the connection: no CA that it trusts has signed our certificate";
	snprintf(text, sizeof(text), "it refused the connection (%s)",
		 gnutls.alert_get_name(alert) ?: "for no known reason");
	return text;
}

/* A failed call of GnuTLS: errno as that of the socket, or EPROTO. */
static int failed(struct tls *t, int error)
{
	int err = errno;

	t->error = error;
	errno = error == GNUTLS_E_PULL_ERROR || error == GNUTLS_E_PUSH_ERROR ? err : EPROTO;
	return -1;
}

ssize_t tls_take(struct tls *t, void *buf, size_t len, int flags)
{
	size_t done = 0;

	t->nowait = flags & MSG_DONTWAIT;
	do {
		ssize_t n = gnutls.record_recv(t->session, (char *)buf + done, len - done);

		if (n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n == GNUTLS_E_AGAIN) {
			if (!t->would_block) /* a message of TLS itself, not data */
				continue;
			errno = EAGAIN;
			return -1;
		}
		/* the protocol above has its own good-bye: a cut connection is no better than a closed one */
		if (!n || n == GNUTLS_E_PREMATURE_TERMINATION)
			return done;
		if (n < 0)
			return failed(t, n);
		t->received = true;
		done += n;
		if (!(flags & MSG_WAITALL))
			break;
	} while (done < len);
	return done;
}

/* The peer may have refused our certificate after the handshake was done here: its alert says more than a reset. */
static int failed_send(struct tls *t, int error)
{
	char byte;
	int err = errno;

	if (t->received)
		return failed(t, error);
	t->nowait = true;
	if (gnutls.record_recv(t->session, &byte, 1) == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return failed(t, GNUTLS_E_FATAL_ALERT_RECEIVED);
	errno = err;
	return failed(t, error);
}

static int send_all(struct tls *t, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = gnutls.record_send(t->session, buf, len);

		if (n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n == GNUTLS_E_AGAIN) {
			errno = EAGAIN;
			return -1;
		}
		if (n < 0)
			return failed_send(t, n);
		buf += n;
		len -= n;
	}
	return 0;
}

/* A record costs the same for few bytes as for many: what fits is sent in one. */
int tls_sendv(struct tls *t, const struct iovec *iov, int nr)
{
	t->out_len = 0;
	for (int i = 0; i < nr; i++) {
		const char *p = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left) {
			size_t part = min(left, RECORD - t->out_len);

			if (!t->out_len && left >= RECORD) {
				part = round_down(left, (size_t)RECORD);
				if (send_all(t, p, part))
					return -1;
			} else {
				memcpy(t->out + t->out_len, p, part);
				t->out_len += part;
			}
			if (t->out_len == RECORD) {
				if (send_all(t, t->out, RECORD))
					return -1;
				t->out_len = 0;
			}
			p += part;
			left -= part;
		}
	}
	return send_all(t, t->out, t->out_len);
}

bool tls_pending(struct tls *t)
{
	return gnutls.record_check_pending(t->session);
}
