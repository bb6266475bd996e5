// SPDX-License-Identifier: GPL-2.0-only
/* page-server: receives the pages of a dump into images; with --lazy-pages hands pages of images out (serve.c). */
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lazy/ready.h"
#include "lazy/serve.h"
#include "mem/sink.h"
#include "net/conn.h"
#include "net/wire.h"
#include "stories.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define PIECE (1UL << 20)

struct receiver {
	struct conn c;
	struct page_sink sink;
	bool open;
	uint64_t dst_id, end; /* of the open object; where its last run ended */
	uint64_t nr_pages, nr_objects;
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

static int open_object(struct receiver *r, const struct ps_msg *m)
{
	if (finish_object(r) || check_id(r, m))
		return -1;
	if (sink_open(&r->sink, dirs.images, object_type(m->dst_id), m->dst_id >> 8))
		return -1;
	r->open = true;
	r->dst_id = m->dst_id;
	r->end = 0;
	r->nr_objects++;
	return 0;
}

static bool has_parent(const struct ps_msg *m)
{
	struct page_sink local = {};

	return sink_has_parent(&local, dirs.images, object_type(m->dst_id), m->dst_id >> 8);
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
	r->end = m->vaddr + m->nr_pages * PAGE_SIZE;
	if (sink_run(&r->sink, m->vaddr, m->nr_pages, flags))
		return -1;
	return flags & PE_PRESENT ? store_pages(r, m->nr_pages) : 0;
}

/* 0: go on, 1: the client is done, -1: logged */
static int one_message(struct receiver *r)
{
	struct ps_msg m;
	char byte;
	int32_t answer;

	if (conn_recv(&r->c, &m, sizeof(m))) {
		if (r->c.eof)
			pr_err("%s closed the connection before it was done: the images are not"
			       " complete",
			       r->c.peer);
		return -1;
	}
	switch (ps_cmd(&m)) {
	case PS_OPEN:
		return open_object(r, &m);
	case PS_OPEN2:
		if (open_object(r, &m))
			return -1;
		byte = has_parent(&m);
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
		answer = finish_object(r);
		return conn_send(&r->c, &answer, sizeof(answer)) || answer ? -1 : 1;
	case PS_FORCE_CLOSE:
		answer = 0;
		conn_send(&r->c, &answer, sizeof(answer));
		pr_err("The dump at %s failed: the images are not complete", r->c.peer);
		return -1;
	}
	pr_err("%s: unknown command 0x%x", r->c.peer, ps_cmd(&m));
	return -1;
}

static int receive(struct conn *c)
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
	if (ret > 0)
		pr_info("%" PRIu64 " pages of %" PRIu64 " objects stored", r.nr_pages,
			r.nr_objects);
	return ret > 0 ? 0 : -1;
}

/* One client, as dump makes one connection. */
static int receive_one(void)
{
	cleanup_close int listener = -1;
	struct conn c = CONN_INIT;
	int ret;

	if (tls_key_ensure(dirs.images) || tls_prepare(TLS_SERVER, dirs.images))
		return -1;
	if (opts.ps_socket >= 0) {
		if (conn_from_fd(&c, opts.ps_socket))
			return -1;
	} else {
		listener = conn_listen(opts.address, &opts.port);
		if (listener < 0)
			return -1;
	}
	if (server_daemonize() || server_ready())
		return -1;
	if (listener >= 0 && conn_accept(&c, listener, -1))
		return -1;
	close_safe(&listener);
	ret = conn_secure(&c, TLS_SERVER) ? -1 : receive(&c);
	conn_close(&c);
	return ret;
}

int cmd_page_server(void)
{
	opts.page_server = false; /* the sink shall be local */
	return (opts.lazy_pages ? serve_images() : receive_one()) ? 1 : 0;
}
