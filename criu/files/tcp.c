// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP connections. --tcp-close: both commands forget them; the restored socket is one that is not connected, so that the task
 * sees a hang-up and an error, as after a reset by its peer.
 */
#include <netinet/tcp.h>

#include "files/inet.h"
#include "util/log.h"

int tcp_dump(const struct fd_probe *p, InetSkEntry *e)
{
	if (opts.tcp_close)
		return 0;
	if (opts.tcp_established)
		pr_err("%s: saving the TCP connection %s is not supported yet; --tcp-close closes "
		       "it",
		       probe_name(p), inet_name(e));
	else
		pr_err("%s is a connected TCP socket (%s): --tcp-close closes it", probe_name(p),
		       inet_name(e));
	return -1;
}

int tcp_collect(struct op *op, InetSkEntry *e)
{
	if (e->proto != IPPROTO_TCP || e->type != SOCK_STREAM || e->state == TCP_CLOSE ||
	    e->state == TCP_LISTEN)
		return 0;
	if (opts.tcp_close)
		return 0;
	if (opts.tcp_established)
		pr_err("Restoring the TCP connection %s is not supported yet; --tcp-close closes "
		       "it",
		       inet_name(e));
	else
		pr_err("The images have a connected TCP socket (%s): --tcp-close closes it",
		       inet_name(e));
	return -1;
}

int tcp_restore(struct op *op, const InetSkEntry *e, int fd, const char *what)
{
	return 0;
}
