/* SPDX-License-Identifier: GPL-2.0-only */
/* Certificates and keys of tls.c. Nobody else includes this. */
#ifndef CRIU_NET_TLS_KEYS_H
#define CRIU_NET_TLS_KEYS_H

#include <gnutls/gnutls.h>

#include "net/tls.h"

/* What tls_prepare(ROLE) has read goes into the session, with what is to be verified. A GNUTLS_E_*, or 0. */
int tls_keys_use(gnutls_session_t s, enum tls_role role);

#endif
