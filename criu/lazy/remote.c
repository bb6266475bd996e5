// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages from a page server. With a server of ours: an urgent connection for faults, and a bulk connection on which everything else is pushed. With any other:
 * GETs on one connection, those of faults before those of the background, a few of these always under way (plain.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "inventory.h"
#include "lazy/remote.h"
#include "mem/pagemap.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define CONNECT_MS     10000
#define HELLO_S	       5
#define HELLO_TRIES    20  /* with a server that is known to speak the extensions, */
#define HELLO_PAUSE_MS 100 /* and is out of descriptors, or so */
#define STALL_S	       30

/* ---- connecting ---- */

static int server_connect(struct conn *c)
{
	if (opts.ps_socket >= 0)
		return conn_from_fd(c, opts.ps_socket) || conn_secure(c, TLS_CLIENT) ? -1 : 0;
	return conn_connect(c, opts.address, opts.port, CONNECT_MS, false);
}

static uint64_t wanted_features(void)
{
	uint64_t f = PS_FEAT_BULK | PS_FEAT_COMMIT;

	if (opts.compress)
		f |= strcmp(opts.compress, "zstd") ? PS_FEAT_LZ4 : PS_FEAT_ZSTD;
	return f;
}

/* What has been agreed on is made ready. -1 logged */
static int agreed(struct remote *r)
{
	if (r->features & PS_FEAT_PACKED) {
		r->unpacker = unpacker_new(r->features);
		r->box.packed = xmalloc(PS_BATCH * PAGE_SIZE);
		return r->unpacker && r->box.packed ? 0 : -1;
	}
	if (opts.compress)
		pr_warn("%s can't compress with %s: the pages come as they are", r->urgent.c.peer,
			opts.compress);
	return 0;
}

/* 0: the server speaks the extensions, 1: it does not, -1 logged */
static int hello(struct remote *r)
{
	uint64_t wanted = wanted_features();
	struct ps_msg m = { .cmd = PS_HELLO,
			    .nr_pages = PS_VERSION,
			    .vaddr = wanted,
			    .dst_id = inventory_run(dirs.images) };
	struct conn *c = &r->urgent.c;

	ssize_t n;

	if (conn_set_timeout(c, HELLO_S) || conn_send(c, &m, sizeof(m)))
		return -1;
	n = conn_take(c, &m, sizeof(m), MSG_WAITALL);
	if (n > 0 && n < (ssize_t)sizeof(m)) {
		pr_err("%s does not answer as a page server: was it started with --tls or "
		       "--tls-psk?",
		       c->peer);
		return -1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		/* a server that is slow is not one that does not know the commit: that one closes the connection */
		pr_err("%s does not answer", c->peer);
		return -1;
	}
	if (n <= 0) /* EPROTO: refused by TLS, which has been said */
		return n < 0 && errno == EPROTO ? -1 : 1;
	if (ps_cmd(&m) == PS_FORCE_CLOSE) {
		pr_err("%s serves another dump, not the one of these images", c->peer);
		return -1;
	}
	if (ps_cmd(&m) != PS_HELLO || m.nr_pages != PS_VERSION || !(m.vaddr & PS_FEAT_BULK) ||
	    m.vaddr & ~wanted) {
		pr_err("%s answered a hello with something else (command 0x%x, version %" PRIu64
		       ")",
		       c->peer, ps_cmd(&m), m.nr_pages);
		return -1;
	}
	r->features = m.vaddr;
	r->token = m.dst_id;
	return 0;
}

static int attach(struct remote *r)
{
	struct ps_msg m = { .cmd = PS_ATTACH, .dst_id = r->token };

	return conn_connect(&r->bulk, opts.address, opts.port, CONNECT_MS, false) ||
			       conn_set_timeout(&r->bulk, STALL_S) ||
			       conn_send(&r->bulk, &m, sizeof(m))
		       ? -1
		       : 0;
}

static int plain(struct remote *r)
{
	pr_warn("%s does not know the extensions: the plain protocol is slower, and does not"
		" protect the tasks if one side dies half-way",
		r->urgent.c.peer);
	conn_close(&r->urgent.c);
	return server_connect(&r->urgent.c);
}

/*
 * A connection that is closed before the answer to the hello means a server that knows no extensions, unless it is known to: then it could not just now, or somebody in
 * between took the connection for a server that is gone. That must not pass for a plain one, which would know no commit.
 */
static int greet(struct lazyd *d, struct remote *r)
{
	bool known = d->j->extended || inventory_serves_extended(dirs.images);
	int ret = 1;

	for (unsigned i = 0; i < HELLO_TRIES && ret == 1; i++) {
		if (server_connect(&r->urgent.c))
			return -1;
		ret = hello(r);
		if (ret != 1 || !known)
			return ret;
		pr_warn("%s closed the connection before it answered", r->urgent.c.peer);
		if (d->j->extended)
			break; /* whoever has tasks to care for tries much longer */
		conn_close(&r->urgent.c);
		usleep(HELLO_PAUSE_MS * 1000);
	}
	pr_err("The server closes the connection, although it is one of ours");
	return -1;
}

static int speak(struct lazyd *d, struct remote *r)
{
	int ret;

	if (opts.ps_socket >= 0) /* a second connection cannot be made */
		return server_connect(&r->urgent.c) || agreed(r)
			       ? -1
			       : conn_set_timeout(&r->urgent.c, STALL_S);
	ret = greet(d, r);
	if (ret < 0 || (ret ? plain(r) : attach(r)) || agreed(r))
		return -1;
	d->j->extended = !ret;
	return conn_set_timeout(&r->urgent.c, STALL_S);
}

static void remote_free(struct remote *r)
{
	conn_close(&r->urgent.c);
	conn_close(&r->bulk);
	free(r->urgent.buf);
	free(r->box.buf);
	free(r->box.packed);
	unpacker_free(r->unpacker);
	free(r->asks);
	free(r);
}

int remote_connect(struct lazyd *d)
{
	struct remote *r = xzalloc(sizeof(*r));

	if (!r)
		return -1;
	/* who was given the images was given the key of their server */
	tls_key_use_found(dirs.images);
	r->urgent.c.fd = r->bulk.fd = -1;
	r->box.bytes = -1;
	r->urgent.buf = xmalloc(INBOX);
	r->box.buf = aligned_alloc(PAGE_SIZE, PS_BATCH * PAGE_SIZE);
	r->asks = xcalloc(ASKS, sizeof(*r->asks));
	if (!r->urgent.buf || !r->box.buf || !r->asks || speak(d, r) ||
	    watch(d, r->urgent.c.fd, WATCH_URGENT, NULL) ||
	    (r->features && watch(d, r->bulk.fd, WATCH_BULK, NULL))) {
		remote_free(r);
		return -1;
	}
	d->remote = r;
	d->j->urgent = r->urgent.c.fd;
	d->j->bulk = r->bulk.fd;
	return 0;
}

/* ---- asking ---- */

int remote_flush(struct lazyd *d)
{
	struct remote *r = d->remote;
	unsigned nr = r->nr_out;

	r->nr_out = 0;
	return nr ? conn_send(&r->urgent.c, r->out, nr * sizeof(*r->out)) : 0;
}

int remote_get(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages, uint64_t at_ns,
	       enum arrival why)
{
	struct remote *r = d->remote;

	if (r->nr == ASKS) {
		pr_err("More than %d requests to %s are unanswered", ASKS, r->urgent.c.peer);
		return -1;
	}
	if (r->nr_out == ARRAY_SIZE(r->out) && remote_flush(d))
		return -1;
	r->asks[(r->first + r->nr++) % ASKS] = (struct ask){ obj, src, nr_pages, at_ns, why };
	r->out[r->nr_out++] = (struct ps_msg){
		.cmd = PS_GET, .nr_pages = nr_pages, .vaddr = src, .dst_id = obj->dst_id
	};
	return 0;
}

int remote_ask(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages, uint64_t at_ns)
{
	struct remote *r = d->remote;

	if (!r->features) { /* the background follows the faults; a server of ours does so by itself */
		uint64_t left;

		r->cursor = obj;
		r->cursor_page = object_page(obj, src, &left) + nr_pages;
	}
	return remote_get(d, obj, src, nr_pages, at_ns, BY_FAULT);
}

int remote_fetch(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages)
{
	d->remote->background += nr_pages;
	return remote_get(d, obj, src, nr_pages, 0, BY_PUSH);
}

int remote_want(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages)
{
	return bulk_send(d->remote, PS_WANT, obj, src, nr_pages);
}

bool remote_pushes(const struct lazyd *d)
{
	return d->remote && d->remote->started && d->remote->features;
}

bool remote_takes_more(const struct lazyd *d)
{
	return d->remote->started &&
	       (d->remote->features || d->remote->background <= PLAIN_MAX / 2);
}

bool remote_full(const struct lazyd *d)
{
	return d->remote->nr > ASKS / 2;
}

bool remote_waiting(struct lazyd *d)
{
	return d->remote->nr;
}

/*
 * A server that does not listen just now is not told: it may be waiting until we take what it pushes, and nobody else would. Pages that come for nothing do no
 * harm.
 */
void remote_unwant(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages)
{
	struct pollfd p = { .fd = d->remote->bulk.fd, .events = POLLOUT };

	if (d->remote->started && d->remote->features && poll(&p, 1, 0) == 1)
		bulk_send(d->remote, PS_UNWANT, obj, src,
			  nr_pages); /* an error shows at the next receive */
}

int remote_commit(struct lazyd *d)
{
	struct ps_msg m = { .cmd = PS_COMMIT };
	bool before = d->j->sent; /* by a worker that has died */

	if (!(d->remote->features & PS_FEAT_COMMIT)) {
		d->committed = true;
		return 0;
	}
	d->j->sent = true;
	if (!remote_flush(d) && !conn_send(&d->remote->urgent.c, &m, sizeof(m)))
		return 0;
	d->j->sent = before;
	return -1;
}

/* The tasks run while this is said, and a busy task's chain has very many runs: so many are sent at once. */
struct wants {
	struct conn *c;
	struct ps_msg m[256];
	unsigned nr;
};

static int wants_send(struct wants *w)
{
	unsigned nr = w->nr;

	w->nr = 0;
	return nr ? conn_send(w->c, w->m, nr * sizeof(*w->m)) : 0;
}

/*
 * Tells what is missing in OBJ: in some space, when they are many. Also what has been asked for, since the answer may be that it comes in bulk; but not what
 * faults have brought already, while restore was at work: it would come again.
 */
static int want_run(struct wants *w, struct object *obj, const struct lazy_run *run)
{
	uint64_t end = run[1].first, nr, skip;

	for (uint64_t page = run->first; page < end; page += nr) {
		page = object_next_left(obj, page, end - page, false, &nr);
		if (!nr || page >= end)
			return 0;
		nr = min(nr, end - page);
		skip = object_skip_hugetlb(obj, page, &nr);
		if (skip) {
			nr = skip;
			continue;
		}
		if (w->nr == ARRAY_SIZE(w->m) && wants_send(w))
			return -1;
		w->m[w->nr++] = (struct ps_msg){ .cmd = PS_WANT,
						 .nr_pages = nr,
						 .vaddr = lazy_run_start(run) +
							  (page - run->first) * PAGE_SIZE,
						 .dst_id = obj->dst_id };
	}
	return 0;
}

static int want_object(struct remote *r, struct object *obj)
{
	struct wants w = { .c = &r->bulk };

	for (size_t i = 0; i < obj->nr_runs; i++)
		if (!obj->runs[i].here && want_run(&w, obj, &obj->runs[i]))
			return -1;
	return wants_send(&w);
}

int remote_start(struct lazyd *d)
{
	struct remote *r = d->remote;
	struct object *obj;

	r->started = true;
	if (!r->features)
		return plain_background(d);
	TAILQ_FOREACH (obj, &d->objects, link)
		if (want_object(r, obj))
			return -1;
	if (hugetlb_pushed(d))
		return -1;
	return bulk_send(r, PS_START, NULL, 0, 0);
}

/* ---- receiving ---- */

int remote_lost(struct conn *c, int err)
{
	if (err == EPROTO) /* logged */
		return -1;
	if (err)
		pr_err("Can't receive from %s: %s", c->peer, strerror(err));
	else
		pr_err("%s closed the connection, but pages are missing here", c->peer);
	return -1;
}

static void unask(struct object *obj, uint64_t src, uint64_t nr)
{
	uint64_t left;
	int64_t page = object_page(obj, src, &left);
	struct space *sp;

	TAILQ_FOREACH (sp, &obj->spaces, link)
		for (uint64_t p = page; p < page + nr; p++)
			if (space_state(sp, p) == PAGE_ASKED)
				space_set(sp, p, 1, PAGE_MISSING);
}

/* The answer to the oldest question, whose first NR_PAGES came. */
static int answered(struct lazyd *d, const struct ps_msg *m)
{
	struct remote *r = d->remote;
	struct ask *a = &r->asks[r->first];
	uint64_t left = a->nr_pages - m->nr_pages;

	if (!m->nr_pages && !(r->features && m->len == PS_UNDERWAY)) {
		pr_err("%s does not have page 0x%" PRIx64 " of task %" PRIu64, r->urgent.c.peer,
		       a->src, a->obj->id);
		return -1;
	}
	d->j->connected = true;
	if (a->why == BY_PUSH)
		r->background -= a->nr_pages;
	else if (m->nr_pages)
		stats_latency(&d->st, now_ns() - a->at_ns);
	else
		d->st.underway_faults++;
	r->first = (r->first + 1) % ASKS;
	r->nr--;
	if (left && r->features) {
		/* a server of ours leaves out what it has pushed already: it is on its way */
		unask(a->obj, a->src + m->nr_pages * PAGE_SIZE, left);
	} else if (left) {
		if (a->why == BY_PUSH)
			r->background += left;
		if (remote_get(d, a->obj, a->src + m->nr_pages * PAGE_SIZE, left, a->at_ns, a->why))
			return -1;
	}
	if (!r->features && r->started && r->background <= PLAIN_MAX / 2)
		return plain_background(d);
	return remote_flush(d);
}

static int check_answer(struct remote *r, const struct ps_msg *m)
{
	struct ask *a = &r->asks[r->first];

	if (r->nr && m->dst_id == a->obj->dst_id && m->vaddr == a->src &&
	    m->nr_pages <= a->nr_pages)
		return 0;
	pr_err("%s answered a question that was not asked: object 0x%" PRIx64 ", 0x%" PRIx64
	       ", %" PRIu64 " pages",
	       r->urgent.c.peer, m->dst_id, m->vaddr, m->nr_pages);
	return -1;
}

/*
 * One message of the urgent connection, of which LEN bytes are there. The bytes used; 0: it is not complete; -1 logged.
 */
static ssize_t urgent_message(struct lazyd *d, const char *buf, size_t len)
{
	struct remote *r = d->remote;
	struct ask *a = &r->asks[r->first];
	struct ps_msg m;
	size_t size = sizeof(m);

	if (len < sizeof(m))
		return 0;
	memcpy(&m, buf, sizeof(m));
	switch (ps_cmd(&m)) {
	case PS_COMMIT:
		d->committed = true;
		d->j->connected = true;
		return size;
	case PS_FORCE_CLOSE:
		/* no commit, ever: nobody needs to try again */
		if (!d->committed) {
			d->j->asked = false;
			restore_refuse(d);
		}
		pr_err("%s gave up: the tasks run on there", r->urgent.c.peer);
		return -1;
	case PS_ADD:
	case PS_ADD_F:
	case PS_ZERO:
		if (check_answer(r, &m))
			return -1;
		if (ps_cmd(&m) != PS_ZERO)
			size += m.nr_pages * PAGE_SIZE;
		if (len < size)
			return 0;
		d->st.bytes += size - sizeof(m);
		if (m.nr_pages &&
		    place_pages(d, a->obj, m.vaddr, ps_cmd(&m) == PS_ZERO ? NULL : buf + sizeof(m),
				m.nr_pages, a->why))
			return -1;
		if (answered(d, &m))
			return -1;
		return size;
	}
	pr_err("%s sent an unknown command 0x%x", r->urgent.c.peer, ps_cmd(&m));
	return -1;
}

int remote_urgent(struct lazyd *d)
{
	struct inbox *in = &d->remote->urgent;
	ssize_t n = conn_take(&in->c, in->buf + in->len, INBOX - in->len, MSG_DONTWAIT), used;
	size_t done = 0;

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return remote_lost(&in->c, n ? errno : 0);
	in->len += n;
	while ((used = urgent_message(d, in->buf + done, in->len - done)) > 0)
		done += used;
	if (used < 0)
		return -1;
	/* the thread that waited for it may be on this processor, and would otherwise run when this one next has nothing to do */
	if (done)
		sched_yield();
	in->len -= done;
	memmove(in->buf, in->buf + done, in->len);
	return conn_pending(&in->c) ? remote_urgent(d) : 0;
}

/* ---- the end ---- */

int remote_close(struct lazyd *d, bool failed)
{
	struct remote *r = d->remote;
	struct ps_msg m = { .cmd = failed ? PS_FORCE_CLOSE : PS_CLOSE };
	int32_t status = 0;
	int ret = 0;

	if (!r)
		return 0;
	if (conn_send(&r->urgent.c, &m, sizeof(m))) {
		ret = -1;
	} else if (!failed && conn_recv(&r->urgent.c, &status, sizeof(status))) {
		pr_warn("%s did not confirm the end", r->urgent.c.peer);
		/* one of ours would wait for us with its tasks; how others end is their own matter */
		ret = r->features ? -1 : 0;
	}
	remote_drop(d);
	return ret;
}

void remote_drop(struct lazyd *d)
{
	/* first: what is closed may be something else by the time the next worker closes what this one had */
	if (d->j)
		d->j->urgent = d->j->bulk = -1;
	if (d->remote)
		remote_free(d->remote);
	d->remote = NULL;
}
