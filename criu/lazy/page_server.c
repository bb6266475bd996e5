// SPDX-License-Identifier: GPL-2.0-only
/* page-server: receives the pages of a dump into images; with --lazy-pages hands pages of images out (serve.c). */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chain.h"
#include "lazy/ready.h"
#include "lazy/serve.h"
#include "lazy/server.h"
#include "mem/dedup.h"
#include "mem/sink.h"
#include "net/conn.h"
#include "net/wire.h"
#include "op.h"
#include "stories.h"
#include "util/dirs.h"
#include "net/tls.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define PIECE			(1UL << 20)
#define LOBBY			16
#define FIRST_MESSAGE_S		3 /* less than what a client waits for its turn */
#define TLS_RECORD_HANDSHAKE	22
#define STORE_STAGE(name, call) STAGE("page-server", name, call)

struct receiver {
	struct conn c;
	struct page_sink sink;
	bool open, parent;    /* is there a parent of the open object? */
	uint64_t dst_id, end; /* of the open object; where its last run ended */
	uint64_t nr_pages, nr_objects, nr_messages;
	char *buf;
};

static int finish_object(struct receiver *r)
{
	if (!r->open)
		return 0;
	r->open = false;
	return sink_close(&r->sink);
}

static enum image_type object_type(uint64_t dst_id)
{
	return (dst_id & 0xff) == PS_TYPE_TASK ? IMG_PAGEMAP : IMG_SHMEM_PAGEMAP;
}

static int check_id(struct receiver *r, const struct ps_msg *m)
{
	unsigned type = m->dst_id & 0xff;

	if ((type == PS_TYPE_TASK || type == PS_TYPE_SHMEM) && m->dst_id >> 8 <= UINT32_MAX)
		return 0;
	pr_err("%s: pages for an unknown kind of object (0x%" PRIx64 ")", r->c.peer, m->dst_id);
	return -1;
}

static bool has_parent(const struct ps_msg *m)
{
	struct page_sink local = {};

	return sink_has_parent(&local, dirs.images, object_type(m->dst_id), m->dst_id >> 8);
}

static int open_object(struct receiver *r, const struct ps_msg *m)
{
	if (finish_object(r) || check_id(r, m))
		return -1;
	if (sink_open(&r->sink, dirs.images, object_type(m->dst_id), m->dst_id >> 8))
		return -1;
	r->open = true;
	r->parent = has_parent(m);
	r->dst_id = m->dst_id;
	r->end = 0;
	r->nr_objects++;
	return 0;
}

static int store_pages(struct receiver *r, uint64_t nr_pages)
{
	uint64_t left = nr_pages * PAGE_SIZE;

	while (left) {
		size_t n = min(left, PIECE);

		if (conn_recv(&r->c, r->buf, n)) {
			if (r->c.eof)
				pr_err("%s closed the connection in the middle of its pages",
				       r->c.peer);
			return -1;
		}
		if (sink_write(&r->sink, r->buf, n))
			return -1;
		left -= n;
	}
	r->nr_pages += nr_pages;
	return 0;
}

static int add_run(struct receiver *r, const struct ps_msg *m, uint32_t flags)
{
	if (!r->open || m->dst_id != r->dst_id) {
		pr_err("%s: pages for object 0x%" PRIx64 ", which is not open", r->c.peer,
		       m->dst_id);
		return -1;
	}
	if (m->vaddr % PAGE_SIZE || !m->nr_pages || m->vaddr < r->end ||
	    m->nr_pages > (UINT64_MAX - m->vaddr) / PAGE_SIZE ||
	    (flags & ~(PE_PARENT | PE_LAZY | PE_PRESENT)) ||
	    ((flags & PE_PARENT) && (flags & PE_PRESENT))) {
		pr_err("%s: impossible run: 0x%" PRIx64 ", %" PRIu64
		       " pages, flags 0x%x, after one that ends at 0x%" PRIx64,
		       r->c.peer, m->vaddr, m->nr_pages, flags, r->end);
		return -1;
	}
	if ((flags & PE_PARENT) && !r->parent) {
		pr_err("%s: leaves pages of object 0x%" PRIx64 " to a parent, but there is none",
		       r->c.peer, m->dst_id);
		return -1;
	}
	r->end = m->vaddr + m->nr_pages * PAGE_SIZE;
	if (sink_run(&r->sink, m->vaddr, m->nr_pages, flags))
		return -1;
	return flags & PE_PRESENT ? store_pages(r, m->nr_pages) : 0;
}

static int finish_all(struct receiver *r)
{
	return finish_object(r) || (opts.auto_dedup && dedup_parents(dirs.images)) ? -1 : 0;
}

/* 0: go on, 1: the client is done, -1: logged */
static int one_message(struct receiver *r)
{
	struct ps_msg m;
	char byte;
	int32_t answer;

	if (conn_recv(&r->c, &m, sizeof(m))) {
		if (r->c.eof && r->nr_messages)
			pr_err("%s closed the connection before it was done: the images are not"
			       " complete",
			       r->c.peer);
		else if (r->c.eof)
			pr_warn("%s closed the connection without a word", r->c.peer);
		return -1;
	}
	if (!r->nr_messages && conn_set_timeout(&r->c, 0))
		return -1;
	r->nr_messages++;
	switch (ps_cmd(&m)) {
	case PS_OPEN:
		return STORE_STAGE("open", open_object(r, &m));
	case PS_OPEN2:
		if (STORE_STAGE("open", open_object(r, &m)))
			return -1;
		byte = r->parent;
		return conn_send(&r->c, &byte, 1);
	case PS_PARENT:
		answer = !check_id(r, &m) && has_parent(&m);
		return conn_send(&r->c, &answer, sizeof(answer));
	case PS_ADD:
		return add_run(r, &m, PE_PRESENT);
	case PS_ADD_F:
		return add_run(r, &m, ps_flags(&m));
	case PS_HOLE:
		return add_run(r, &m, PE_PARENT);
	case PS_CLOSE:
		answer = STORE_STAGE("close", finish_all(r));
		return conn_send(&r->c, &answer, sizeof(answer)) || answer ? -1 : 1;
	case PS_FORCE_CLOSE:
		answer = 0;
		conn_send(&r->c, &answer, sizeof(answer));
		pr_err("The dump at %s failed: the images are not complete", r->c.peer);
		return -1;
	}
	r->nr_messages--;
	pr_err("%s: unknown command 0x%x", r->c.peer, ps_cmd(&m));
	return -1;
}

int page_server_receive(struct conn *c)
{
	struct receiver r = { .c = *c };
	int ret;

	r.buf = xmalloc(PIECE);
	if (!r.buf)
		return -1;
	do
		ret = one_message(&r);
	while (!ret);
	if (r.open)
		finish_object(&r);
	free(r.buf);
	if (ret < 0 && !r.nr_messages)
		return 1;
	if (ret > 0)
		pr_info("%" PRIu64 " pages of %" PRIu64 " objects stored", r.nr_pages,
			r.nr_objects);
	return ret > 0 ? 0 : -1;
}

/*
 * Those who have connected and said nothing yet. The one who speaks first, and makes sense, is the dump; nobody else can keep it out by
 * holding a connection.
 */
struct lobby {
	int listener;
	unsigned nr;
	struct conn c[LOBBY];
};

static void lobby_drop(struct lobby *l, unsigned i)
{
	conn_close(&l->c[i]);
	memmove(&l->c[i], &l->c[i + 1], (--l->nr - i) * sizeof(l->c[0]));
}

/* Full: the one who waits longest goes. */
static int lobby_enter(struct lobby *l)
{
	struct conn c;
	int ret = conn_accept(&c, l->listener, 0);

	if (ret)
		return ret < 0 ? -1 : 0;
	if (l->nr == LOBBY) {
		pr_warn("%s is let go: there are too many connections, and it has said nothing",
			l->c[0].peer);
		lobby_drop(l, 0);
	}
	l->c[l->nr++] = c;
	return 0;
}

/* Waits for somebody who speaks. 0: *C, -1 logged */
static int lobby_next(struct lobby *l, struct conn *c)
{
	for (;;) {
		struct pollfd p[LOBBY + 1] = { { .fd = l->listener, .events = POLLIN } };
		unsigned nr = l->nr;

		for (unsigned i = 0; i < nr; i++)
			p[i + 1] = (struct pollfd){ .fd = l->c[i].fd, .events = POLLIN };
		if (poll(p, nr + 1, -1) < 0 && errno != EINTR) {
			pr_perror("poll");
			return -1;
		}
		for (unsigned i = 0; i < nr; i++)
			if (p[i + 1].revents) {
				*c = l->c[i];
				l->c[i] = (struct conn)CONN_INIT;
				lobby_drop(l, i);
				return 0;
			}
		if (p[0].revents && STORE_STAGE("accept", lobby_enter(l)))
			return -1;
	}
}

/*
 * A handshake with somebody who does not speak TLS could wait for the rest of what looks like a record, while the dump waits. Every TLS
 * connection begins with a record of type handshake (RFC 8446, 5.1).
 */
static bool begins_tls(const struct conn *c)
{
	unsigned char type;

	return recv_full(c->fd, &type, 1, MSG_PEEK) == 1 && type == TLS_RECORD_HANDSHAKE;
}

/* Told in TLS's own words (an alert, unexpected_message), so that a criu without --tls can say what is missing. */
static void refuse_plain(const struct conn *c)
{
	static const unsigned char alert[] = { 21, 3, 3, 0, 2, 2, 10 };
	char said[4096];

	pr_warn("%s is let go: it does not speak TLS", c->peer);
	/* what it said is taken first: a connection closed with unread bytes is reset, and the alert with it */
	while (recv(c->fd, said, sizeof(said), MSG_DONTWAIT) == sizeof(said))
		;
	send(c->fd, alert, sizeof(alert), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* 0: stored, 1: that was not a dump, -1: logged */
static int try_client(struct conn *c)
{
	int ret = 1;

	/* whoever has come through TLS may take its time: a dump connects first and freezes then */
	if (conn_set_timeout(c, FIRST_MESSAGE_S))
		;
	else if (tls_wanted() && !begins_tls(c))
		refuse_plain(c);
	else if (!conn_secure(c, TLS_SERVER) && (conn_raw(c) || !conn_set_timeout(c, 0)))
		ret = page_server_receive(c);
	conn_close(c);
	return ret;
}

/* One dump, which makes one connection. */
static int receive_one(void)
{
	struct lobby l = { .listener = -1 };
	struct conn c = CONN_INIT;
	int ret;

	if (tls_key_ensure(dirs.images) || tls_prepare(TLS_SERVER, dirs.images))
		return -1;
	if (opts.ps_socket >= 0)
		ret = conn_from_fd(&c, opts.ps_socket);
	else
		ret = l.listener = STORE_STAGE("listen", conn_listen(opts.address, &opts.port));
	if (ret < 0 || server_daemonize() || STORE_STAGE("ready", server_ready()))
		return -1;
	if (c.fd >= 0)
		return try_client(&c) ? -1 : 0;
	do
		ret = lobby_next(&l, &c) ? -1 : try_client(&c);
	while (ret > 0);
	while (l.nr)
		lobby_drop(&l, 0);
	close(l.listener);
	return ret;
}

int cmd_page_server(void)
{
	opts.page_server = false; /* the sink shall be local */
	if (!opts.lazy_pages && chain_link_parent(dirs.images, false))
		return 1;
	return (opts.lazy_pages ? serve_images() : receive_one()) ? 1 : 0;
}
