// SPDX-License-Identifier: GPL-2.0-only
/* What an open file is, in a few words. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "checkpoint.h"
#include "text.h"
#include "util/xmalloc.h"

const char *file_type_name(int type)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&fd_types__descriptor,
									   type);

	return v ? v->name : "?";
}

/* ADDRESS:PORT; words in network order. */
static void address_text(const uint32_t *words, size_t nr, uint32_t port, char *text, size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (nr == 1 || nr == 4)
		inet_ntop(nr == 1 ? AF_INET : AF_INET6, words, ip, sizeof(ip));
	snprintf(text, size, nr == 4 ? "[%s]:%u" : "%s:%u", ip, port);
}

static char *describe_inet(const InetSkEntry *sk)
{
	const char *proto = sk->proto == IPPROTO_TCP   ? "tcp"
			    : sk->proto == IPPROTO_UDP ? "udp"
						       : "inet";
	char src[80], dst[80];

	address_text(sk->src_addr, sk->n_src_addr, sk->src_port, src, sizeof(src));
	address_text(sk->dst_addr, sk->n_dst_addr, sk->dst_port, dst, sizeof(dst));
	if (sk->state == 10)
		return xasprintf("%s listening on %s", proto, src);
	if (sk->dst_port)
		return xasprintf("%s %s -> %s", proto, src, dst);
	return xasprintf("%s %s", proto, src);
}

static char *describe_unix(const UnixSkEntry *sk)
{
	cleanup_free char *name = NULL;
	size_t len = sk->name.len;

	if (len && !sk->name.data[len - 1])
		len--;
	name = quoted_encode(sk->name.data, len, &len);
	if (!name)
		return NULL;
	if (len)
		return xasprintf("unix[%u] %s%s", sk->ino, sk->name.data[0] ? "" : "@",
				 sk->name.data[0] ? name : name + 3);
	return sk->peer ? xasprintf("unix[%u] peer %u", sk->ino, sk->peer)
			: xasprintf("unix[%u]", sk->ino);
}

static char *describe(const FileEntry *e)
{
	if (e->reg)
		return xstrdup(e->reg->name);
	if (e->isk)
		return describe_inet(e->isk);
	if (e->usk)
		return describe_unix(e->usk);
	if (e->pipe)
		return xasprintf("pipe[%u]", e->pipe->pipe_id);
	if (e->fifo)
		return xasprintf("fifo[%u]", e->fifo->pipe_id);
	if (e->memfd)
		return xasprintf("memfd[%u]", e->memfd->inode_id);
	if (e->efd)
		return xasprintf("eventfd counter %lu", (unsigned long)e->efd->counter);
	if (e->tty)
		return xasprintf("tty[%u]", e->tty->tty_info_id);
	if (e->pidfd)
		return xasprintf("pidfd of %d", e->pidfd->nspid);
	return xasprintf("%s[%u]", file_type_name(e->type), e->id);
}

/* Names are shown on terminals: no control characters from an image. */
char *file_describe(const FileEntry *e)
{
	char *text = describe(e);

	for (char *c = text; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text;
}
