/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RPC: criu_req and criu_resp (images/rpc.proto), one message each per SEQPACKET datagram; criu.org/RPC. service.c
 * accepts and forks a worker per connection, swrk is such a worker on an inherited socket; rpc.c does what a request
 * asks; rpc_opts.c turns criu_opts into options.
 */
#ifndef CRIU_CLI_RPC_H
#define CRIU_CLI_RPC_H

#include <stdbool.h>
#include <sys/types.h>

#include "rpc.pb-c.h"

struct command;

/* Requests on SOCK until the client has no more. SWRK: the client has started this process, and handed it descriptors. Exit status. */
int rpc_serve(int sock, bool swrk);
/*
 * Options of a request for command C, then those of its config file; descriptors of the client are
 * reached through /proc/PEER/fd. The options were reset before. -1: refused, logged.
 */
int rpc_opts_apply(const CriuOpts *o, const struct command *c, pid_t peer);

#endif
