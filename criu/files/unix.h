/* SPDX-License-Identifier: GPL-2.0-only */
/* UNIX sockets: what unix.c (dump) and unix_open.c (restore) share. Used inside files/ only. */
#ifndef CRIU_FILES_UNIX_H
#define CRIU_FILES_UNIX_H

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "files/kinds.h"
#include "files/socket.h"

/* unix_sk_entry.uflags: not of the tree; restore connects to its name (--ext-unix-sk). */
#define UNIX_EXTERNAL 1

/* "UNIX socket 123 (@name)": for messages, in a static buffer. */
const char *unix_name(const UnixSkEntry *e);

/* restore: f->priv of a UNIX socket */
struct unix_sock {
	int other; /* the far end of a connection whose peer is gone; closed once the queue is filled */
	int remote; /* its number in the task that made it; -1: made by criu */
	bool bound;
};

/* ---- unix_make.c: in the name of the tasks. -1: logged ---- */
int unix_make_socket(struct file *f); /* f->fd */
int unix_make_pair(struct file *f, int pair[2]);
int unix_make_listening(struct file *f);
/* 1: not made by the task, criu may connect it. */
int unix_make_connection(struct file *f, const UnixSkEntry *to);

struct sockaddr_un;
/* The name as an address; its length. */
socklen_t unix_address(const UnixSkEntry *e, struct sockaddr_un *a);

/* By inode: sockets name their peers so. */
int unix_remember(struct op *op, struct file *f);
struct file *unix_by_ino(struct op *op, uint32_t ino); /* NULL: none */

int unix_collect(struct op *op);
int unix_open(struct op *op, struct file *f);
int unix_opened(struct op *op);
void unix_free(struct op *op);

#endif
