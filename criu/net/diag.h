/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel tells about sockets from outside: sock_diag(7), through libnl. Called by the dump of sockets.
 * One table per network namespace; each family is read once, when it is first asked for.
 */
#ifndef CRIU_NET_DIAG_H
#define CRIU_NET_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nlattr;
struct nlmsghdr;
struct diag;

struct diag_socket {
	uint32_t ino;
	uint8_t family, type, state, shutdown; /* state: TCP_*; shutdown: 1 receive, 2 send */
	uint32_t rqueue, wqueue;	       /* bytes; listening: waiting connections, backlog */
	/* AF_UNIX */
	uint32_t peer; /* inode; 0: none, or closed */
	char *name;    /* as bound: a path, or with a leading NUL; NULL where unbound */
	size_t name_len;
	uint32_t *waiting; /* listening: the inodes of clients that were not accepted yet */
	size_t nr_waiting;
};

/* NETNS: a descriptor of the network namespace, or -1 for criu's own; not kept. NULL: out of memory, logged. */
struct diag *diag_new(int netns);
void diag_free(struct diag *d);
/* The UNIX socket with inode INO, or NULL where there is none such (errno ENOENT) or the kernel does not tell (logged). */
const struct diag_socket *diag_unix(struct diag *d, uint32_t ino);
/* The client whose connection waits in some listening socket's queue: that listening socket, else NULL. */
const struct diag_socket *diag_unix_waits_at(struct diag *d, uint32_t client);
/* FAMILY: AF_INET, AF_INET6; PROTO: IPPROTO_*. As diag_unix(). */
const struct diag_socket *diag_inet(struct diag *d, int family, int proto, uint32_t ino);

/* Messages to sockets; false: not such a message. For diag.c and its tests. */
bool diag_parse_unix(struct nlmsghdr *h, struct diag_socket *s);
bool diag_parse_inet(struct nlmsghdr *h, struct diag_socket *s);

#endif
