/* SPDX-License-Identifier: GPL-2.0-only */
/* IP sockets: what inet.c and tcp.c share. Used inside files/ only. */
#ifndef CRIU_FILES_INET_H
#define CRIU_FILES_INET_H

#include <netinet/in.h>

#include "files/kinds.h"
#include "files/socket.h"

/* "127.0.0.1 port 80, connected to ...", in a static buffer. */
const char *inet_name(const InetSkEntry *e);
socklen_t inet_source(const InetSkEntry *e, struct sockaddr_in6 *a);
socklen_t inet_destination(const InetSkEntry *e, struct sockaddr_in6 *a);

/* ---- tcp.c: connected TCP sockets ---- */
int tcp_dump(struct op *op, const struct fd_probe *p, InetSkEntry *e);
int tcp_dump_all(struct op *op);
void tcp_free(struct op *op);
/* Checks that E can be restored as the options want it. */
int tcp_collect(struct op *op, InetSkEntry *e);
int tcp_restore(struct op *op, InetSkEntry *e, int fd, const char *what);
/* Out of repair mode, which takes SO_REUSEADDR with it. PROBE: tell the peer at once that we are here again. -1 with errno */
int tcp_leave_repair(const InetSkEntry *e, int fd, bool probe);

#endif
