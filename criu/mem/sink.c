// SPDX-License-Identifier: GPL-2.0-only
#include "mem/sink.h"

#include <fcntl.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/wire.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define CONNECT_TIMEOUT_MS 10000

/* The page server of this dump; all objects go over one connection. */
static struct conn server = CONN_INIT;

int sink_connect(void)
{
	if (!opts.page_server || server.fd >= 0)
		return 0;
	tls_forget();
	if (opts.ps_socket >= 0)
		return conn_from_fd(&server, opts.ps_socket) || conn_secure(&server, TLS_CLIENT)
			       ? -1
			       : 0;
	return conn_connect(&server, opts.address, opts.port, CONNECT_TIMEOUT_MS, false);
}

int sink_disconnect(bool failed)
{
	struct ps_msg m = { .cmd = failed ? PS_FORCE_CLOSE : PS_CLOSE };
	int32_t status = -1;
	int ret = -1;

	if (server.fd < 0)
		return 0;
	server.quiet = failed; /* that may be because the connection is lost, which has been said */
	if (!conn_send(&server, &m, sizeof(m)) && !conn_recv(&server, &status, sizeof(status))) {
		ret = status ? -1 : 0;
		if (status && !failed)
			pr_err("The page server at %s says that it could not store the pages (%d)",
			       server.peer, status);
	} else if (server.eof && !failed) {
		pr_err("The page server at %s closed the connection and did not confirm the pages",
		       server.peer);
	}
	conn_close(&server);
	return ret;
}

static int wire_type(enum image_type type)
{
	return type == IMG_PAGEMAP ? PS_TYPE_TASK : PS_TYPE_SHMEM;
}

static int remote_open(struct page_sink *s, enum image_type type, unsigned long id)
{
	struct ps_msg m = { .cmd = PS_OPEN2, .dst_id = ps_id(wire_type(type), id) };
	char parent;

	s->remote = true;
	s->dst_id = m.dst_id;
	if (conn_send(&server, &m, sizeof(m)) || conn_recv(&server, &parent, 1)) {
		if (server.eof)
			pr_err("The page server at %s closed the connection", server.peer);
		return -1;
	}
	s->server_parent = parent;
	if (!(parent & ~1))
		return 0;
	pr_err("What answers at %s is not a page server, or one that was started with --tls or "
	       "--tls-psk",
	       server.peer);
	return -1;
}

int sink_open(struct page_sink *s, int dirfd, enum image_type type, unsigned long id)
{
	*s = (struct page_sink){};
	if (opts.page_server && server.fd >= 0)
		return remote_open(s, type, id);
	return pagemap_create(&s->w, dirfd, type, id);
}

bool sink_has_parent(struct page_sink *s, int dirfd, enum image_type type, unsigned long id)
{
	char name[64], file[40];

	if (s->remote)
		return s->server_parent;
	snprintf(file, sizeof(file), image_kinds[type].file, id);
	snprintf(name, sizeof(name), "parent/%s", file);
	return !faccessat(dirfd, name, R_OK, AT_EACCESS);
}

int sink_check_parent(struct page_sink *s, int dirfd, unsigned long id, bool tracked)
{
	if (!tracked || sink_has_parent(s, dirfd, IMG_PAGEMAP, id))
		return 0;
	if (s->remote)
		pr_err("The page server at %s has no pages of task %lu from the link before: "
		       "start it with --prev-images-dir",
		       server.peer, id);
	else
		pr_err("There is no parent/pagemap-%lu.img: the pages of task %lu that did not "
		       "change would be lost",
		       id, id);
	return -1;
}

int sink_header(struct page_sink *s, uint64_t start, uint64_t nr_pages, uint32_t flags,
		char hdr[SINK_HEADER_MAX])
{
	struct ps_msg m = { .cmd = PS_ADD_F | flags << 16,
			    .nr_pages = nr_pages,
			    .vaddr = start,
			    .dst_id = s->dst_id };

	if (flags & PE_PRESENT)
		s->nr_present += nr_pages;
	if (!s->remote)
		return pagemap_add(&s->w, start, nr_pages, flags);
	memcpy(hdr, &m, sizeof(m));
	return sizeof(m);
}

int sink_run(struct page_sink *s, uint64_t start, uint64_t nr_pages, uint32_t flags)
{
	char hdr[SINK_HEADER_MAX];
	int len = sink_header(s, start, nr_pages, flags, hdr);

	return len <= 0 ? len : conn_send(&server, hdr, len);
}

int sink_fd(struct page_sink *s)
{
	return s->remote ? server.fd : image_fd(s->w.pages);
}

const char *sink_name(const struct page_sink *s)
{
	static char text[sizeof(server.peer) + 40];

	if (!s->remote)
		return image_name(s->w.pages);
	snprintf(text, sizeof(text), "the page server at %s (see its log)", server.peer);
	return text;
}

bool sink_raw(const struct page_sink *s)
{
	return !s->remote || conn_raw(&server);
}

int sink_write(struct page_sink *s, const void *buf, size_t len)
{
	if (s->remote)
		return conn_send(&server, buf, len);
	if (!write_full(image_fd(s->w.pages), buf, len))
		return 0;
	pr_perror("%s: can't write pages", image_name(s->w.pages));
	return -1;
}

int sink_close(struct page_sink *s)
{
	return s->remote ? 0 : pagemap_finish(&s->w);
}
