/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GnuTLS, loaded when TLS is wanted for the first time: it and the libraries below it need 2 ms to start, which would otherwise be part of every migration's
 * downtime, twice. `gnutls.init(...)` is gnutls_init(3) and so on.
 */
#ifndef CRIU_NET_GNUTLS_H
#define CRIU_NET_GNUTLS_H

#include <gnutls/gnutls.h>

#define GNUTLS_SYMBOLS(X)                        \
	X(alert_get)                             \
	X(alert_get_name)                        \
	X(alert_send_appropriate)                \
	X(bye)                                   \
	X(certificate_allocate_credentials)      \
	X(certificate_free_credentials)          \
	X(certificate_server_set_request)        \
	X(certificate_set_x509_crl_file)         \
	X(certificate_set_x509_key_file)         \
	X(certificate_set_x509_system_trust)     \
	X(certificate_set_x509_trust_file)       \
	X(certificate_verification_status_print) \
	X(credentials_set)                       \
	X(deinit)                                \
	X(error_is_fatal)                        \
	X(free)                                  \
	X(handshake)                             \
	X(handshake_set_timeout)                 \
	X(init)                                  \
	X(malloc)                                \
	X(priority_set_direct)                   \
	X(psk_allocate_client_credentials)       \
	X(psk_allocate_server_credentials)       \
	X(psk_free_client_credentials)           \
	X(psk_free_server_credentials)           \
	X(psk_set_client_credentials)            \
	X(psk_set_server_credentials_function)   \
	X(record_check_pending)                  \
	X(record_recv)                           \
	X(record_send)                           \
	X(session_get_verify_cert_status)        \
	X(session_set_verify_cert)               \
	X(strerror)                              \
	X(transport_set_ptr)                     \
	X(transport_set_pull_function)           \
	X(transport_set_pull_timeout_function)   \
	X(transport_set_vec_push_function)

#define GNUTLS_POINTER(name) __typeof__(gnutls_##name) *name;
struct gnutls {
	GNUTLS_SYMBOLS(GNUTLS_POINTER)
};
#undef GNUTLS_POINTER

extern struct gnutls gnutls; /* valid after gnutls_load() */

/* Once, before there are threads that use it. -1: there is no such library here, logged. */
int gnutls_load(void);

#endif
