// SPDX-License-Identifier: GPL-2.0-only
/* The bulk connection: batches of pages that the server pushes are received, placed turn by turn, and acknowledged. */
#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>

#include "lazy/remote.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* Between two looks at new faults: so many bytes are received, so many pages placed. */
#define RECV_BYTES  (32 * PAGE_SIZE)
#define PLACE_PAGES 16U
/* An acknowledgement costs both sides as much as some pages: one for so many, or when nothing more is there. */
#define ACK_PAGES (4 * PS_BATCH)

int bulk_send(struct remote *r, uint32_t cmd, struct object *obj, uint64_t src, uint64_t nr)
{
	struct ps_msg m = {
		.cmd = cmd, .nr_pages = nr, .vaddr = src, .dst_id = obj ? obj->dst_id : 0
	};

	return conn_send(&r->bulk, &m, sizeof(m));
}

static struct object *object_by_id(struct lazyd *d, uint64_t dst_id)
{
	struct object *obj;

	TAILQ_FOREACH (obj, &d->objects, link)
		if (obj->dst_id == dst_id)
			return obj;
	return NULL;
}

/* The pages of this batch need not be asked for by those who fault on them now. */
static void mark_coming(struct bulkbox *b)
{
	uint64_t left;
	struct space *sp;

	for (unsigned i = 0; i < b->head.m.len; i++) {
		const struct ps_run *r = &b->head.runs[i];
		int64_t page = object_page(b->obj, r->vaddr, &left);

		TAILQ_FOREACH (sp, &b->obj->spaces, link)
			space_set(sp, page, r->nr_pages, PAGE_ASKED);
	}
}

/* The bytes of pages after the head, or -1 logged. */
static ssize_t check_head(struct lazyd *d)
{
	struct bulkbox *b = &d->remote->box;
	const struct ps_msg *m = &b->head.m;
	uint64_t left, total = 0;
	size_t bytes = 0;
	unsigned i;

	b->obj = object_by_id(d, m->dst_id);
	for (i = 0; b->obj && i < m->len; i++) {
		const struct ps_run *r = &b->head.runs[i];

		if (!r->nr_pages || r->vaddr % PAGE_SIZE || r->zeros > 1 ||
		    object_page(b->obj, r->vaddr, &left) < 0 || r->nr_pages > left)
			break;
		total += r->nr_pages;
		bytes += r->zeros ? 0 : r->nr_pages * PAGE_SIZE;
	}
	if (b->obj && i == m->len && total == m->nr_pages) {
		mark_coming(b);
		return bytes;
	}
	pr_err("%s pushed pages that are not wanted: object 0x%" PRIx64 ", 0x%" PRIx64 ", %" PRIu64
	       " pages in %u runs",
	       d->remote->bulk.peer, m->dst_id, m->vaddr, m->nr_pages, m->len);
	return -1;
}

/* How long the head is, as far as it is known. 0: it is not one, logged. */
static size_t head_size(struct remote *r)
{
	const struct ps_msg *m = &r->box.head.m;

	if (r->box.have < sizeof(*m))
		return sizeof(*m);
	if (ps_cmd(m) == PS_DONE)
		return sizeof(*m);
	if ((ps_cmd(m) == PS_DATA || (ps_cmd(m) == PS_PACKED && r->unpacker)) && m->len &&
	    m->len <= PS_BATCH && m->nr_pages <= PS_BATCH)
		return sizeof(*m) + m->len * sizeof(struct ps_run);
	pr_err("%s sent something that is not a batch of pages: command 0x%x", r->bulk.peer,
	       ps_cmd(m));
	return 0;
}

static bool is_packed(const struct bulkbox *b)
{
	return ps_cmd(&b->head.m) == PS_PACKED;
}

/* The head is complete: what comes after it. -1 logged */
static ssize_t expect(struct lazyd *d)
{
	struct bulkbox *b = &d->remote->box;
	ssize_t bytes = check_head(d);

	if (bytes < 0)
		return -1;
	b->unpacked = bytes;
	if (!is_packed(b))
		return bytes;
	if (b->head.m.vaddr && b->head.m.vaddr < b->unpacked)
		return b->head.m.vaddr;
	pr_err("%s says that it has compressed %zu bytes to %" PRIu64, d->remote->bulk.peer,
	       b->unpacked, b->head.m.vaddr);
	return -1;
}

/* All of a batch has come. -1 logged */
static int complete(struct lazyd *d)
{
	struct remote *r = d->remote;
	struct bulkbox *b = &r->box;

	if (is_packed(b) && unpack(r->unpacker, b->packed, b->bytes, b->buf, b->unpacked)) {
		pr_err("%s: compressed pages that can't be unpacked", r->bulk.peer);
		return -1;
	}
	b->complete = true;
	d->j->connected = true;
	d->st.bytes += b->unpacked;
	d->st.saved += b->unpacked - b->bytes;
	return 0;
}

static void next_message(struct bulkbox *b)
{
	b->have = b->at = b->run = 0;
	b->bytes = -1;
	b->complete = false;
}

/* What has been received is looked at: 0, or -1 logged. */
static int received(struct lazyd *d, size_t head)
{
	struct bulkbox *b = &d->remote->box;

	if (b->have < sizeof(b->head.m))
		return 0;
	if (ps_cmd(&b->head.m) == PS_DONE) {
		next_message(b);
		return 0;
	}
	if (b->bytes < 0) {
		/* with the message itself the length of its table has become known */
		if (head == sizeof(b->head.m) || b->have < head)
			return 0;
		b->bytes = expect(d);
		if (b->bytes < 0)
			return -1;
	}
	return b->have == head + b->bytes ? complete(d) : 0;
}

static int acknowledge(struct remote *r)
{
	uint64_t nr = r->box.unacked;

	r->box.unacked = 0;
	return nr ? bulk_send(r, PS_ACK, NULL, 0, nr) : 0;
}

/* 1: something came, 0: nothing is there, -1 logged */
static int receive(struct lazyd *d)
{
	struct remote *r = d->remote;
	struct bulkbox *b = &r->box;
	size_t head = head_size(r), want;
	char *to;
	ssize_t n;

	if (!head)
		return -1;
	if (b->bytes < 0) {
		to = (char *)&b->head + b->have;
		want = head - b->have;
	} else {
		to = (is_packed(b) ? b->packed : b->buf) + (b->have - head);
		want = min(head + b->bytes - b->have, RECV_BYTES);
	}
	n = conn_take(&r->bulk, to, want, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return acknowledge(r);
	if (n <= 0)
		return remote_lost(&r->bulk, n ? errno : 0);
	b->have += n;
	return received(d, head) ? -1 : 1;
}

static int place(struct lazyd *d)
{
	struct remote *r = d->remote;
	struct bulkbox *b = &r->box;
	unsigned left = PLACE_PAGES;
	uint64_t nr_pages = b->head.m.nr_pages;

	while (left && b->run < b->head.m.len) {
		struct ps_run *run = &b->head.runs[b->run];
		unsigned nr = run->zeros ? run->nr_pages : min(left, run->nr_pages - b->done);

		if (place_pages(d, b->obj, run->vaddr + b->done * PAGE_SIZE,
				run->zeros ? NULL : b->buf + b->at, nr, BY_PUSH))
			return -1;
		b->at += run->zeros ? 0 : nr * PAGE_SIZE;
		b->done += nr;
		left -= min(nr, left);
		if (b->done == run->nr_pages) {
			b->run++;
			b->done = 0;
		}
	}
	if (b->run < b->head.m.len)
		return 1;
	next_message(b);
	b->unacked += nr_pages;
	return b->unacked >= ACK_PAGES && acknowledge(r) ? -1 : 1;
}

bool remote_has_bulk(const struct lazyd *d)
{
	return d->remote->features;
}

int remote_bulk(struct lazyd *d)
{
	return d->remote->box.complete ? place(d) : receive(d);
}
