/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options of sockets for which CRIU's images have no place (sk_opts_entry.others, of ours): those that differ from a new socket's. Used by the sockets' kinds
 * inside files/.
 */
#ifndef CRIU_FILES_SOCKOPT_MORE_H
#define CRIU_FILES_SOCKOPT_MORE_H

#include "sk-opts.pb-c.h"

/* dump: what new sockets have, by kind; grows as kinds are met. Starts as NULL. */
struct sock_defaults;

/* Adds those of FD's socket to E. -1: logged. */
int sockopts_more_dump(struct sock_defaults **all, int fd, SkOptsEntry *e);
void sockopts_more_free(struct sock_defaults **all);
/* Sets them on a fresh socket, before bind(2). What cannot be set is warned of: WHAT says whose it is. */
void sockopts_more_restore(int fd, const SkOptsEntry *e, const char *what);

#endif
