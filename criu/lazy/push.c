// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bulk connection: everything that the client wants is pushed in large batches, beginning where the last faults were.
 *
 * How much is under way is bounded by a window that follows the link: TCP's round-trip time is compared with the shortest it has seen, and what it is longer is
 * the queue on the link, in which an urgent answer would have to wait too. While that queue is short the window grows, when it is long it shrinks. (The time
 * until a batch is acknowledged would also show how busy the two hosts are, and a smaller window does not help there.)
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lazy/server.h"
#include "net/pack.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define QUEUE_US   400 /* of bulk before an urgent answer */
#define MIN_WINDOW 16  /* pages */
#define MAX_WINDOW 32768
#define AHEAD \
	512 /* pages that may wait at the client: they keep it busy, and whoever faults on the last of them waits for all others */

struct pusher {
	struct client *cl;
	struct session *ss;
	bool started, done_sent;
	uint64_t sent, acked; /* pages */
	double window;	      /* pages */
	uint64_t next_cut_us;
	char in[64 * sizeof(struct ps_msg)];
	size_t in_len;
	struct packer *packer; /* NULL: pages go out as they are */
	bool waited;	       /* for the window, since the last batch */
};

/* ---- what is wanted ---- */

static struct want *find_want(struct session *ss, struct page_source *s)
{
	struct want *w;

	TAILQ_FOREACH (w, &ss->wants, link)
		if (w->source == s)
			return w;
	return NULL;
}

static struct want *get_want(struct session *ss, struct page_source *s)
{
	struct want *w = find_want(ss, s);

	if (w)
		return w;
	w = xzalloc(sizeof(*w));
	if (!w)
		return NULL;
	w->source = s;
	w->bits = xcalloc(s->nr_pages / 64 + 1, sizeof(*w->bits));
	if (!w->bits) {
		free(w);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&ss->wants, w, link);
	return w;
}

static bool want_bit(const struct want *w, uint64_t page)
{
	return w->bits[page / 64] >> page % 64 & 1;
}

static void set_bits(struct want *w, uint64_t page, uint64_t nr, bool on)
{
	for (uint64_t p = page; p < page + nr; p++) {
		if (want_bit(w, p) == on)
			continue;
		w->bits[p / 64] ^= 1ULL << p % 64;
		w->nr += on ? 1 : -1;
	}
}

/* The first wanted page at or after PAGE, or nr_pages. */
static uint64_t next_wanted(const struct want *w, uint64_t page)
{
	uint64_t nr = w->source->nr_pages;

	while (w->nr && page < nr) {
		uint64_t bits = w->bits[page / 64] >> page % 64;

		if (bits)
			return page + __builtin_ctzll(bits);
		page = round_down(page, 64) + 64;
	}
	return nr;
}

/* Moves the cursor to the next wanted page: to the end of its object, then the others, then this one from its beginning. */
static bool seek(struct session *ss)
{
	struct want *here = ss->cursor ?: TAILQ_FIRST(&ss->wants), *w = here;

	if (!here)
		return false;
	ss->cursor_page = next_wanted(w, ss->cursor_page);
	while (ss->cursor_page == w->source->nr_pages) {
		w = TAILQ_NEXT(w, link) ?: TAILQ_FIRST(&ss->wants);
		ss->cursor_page = next_wanted(w, 0);
		if (w == here)
			break;
	}
	ss->cursor = w;
	return ss->cursor_page < w->source->nr_pages;
}

/*
 * Takes up to MAX pages of one object out of what is wanted, in as many runs as it needs: random faults leave holes, and small messages would cost
 * more than their pages. Returns the number of runs, 0: nothing is wanted.
 */
static unsigned pick(struct session *ss, uint64_t max, struct page_source **s,
		     struct source_run *runs)
{
	unsigned nr_runs = 0;
	struct want *w = NULL;

	pthread_mutex_lock(&ss->lock);
	while (max && seek(ss) && (!w || w == ss->cursor)) {
		uint64_t left, nr = 0, page = ss->cursor_page;

		w = ss->cursor;
		runs[nr_runs].vaddr = source_vaddr(w->source, page, &left);
		left = min(max, left);
		while (nr < left && want_bit(w, page + nr))
			nr++;
		set_bits(w, page, nr, false);
		ss->cursor_page += nr;
		runs[nr_runs++].nr_pages = nr;
		max -= nr;
	}
	pthread_mutex_unlock(&ss->lock);
	*s = w ? w->source : NULL;
	return nr_runs;
}

uint64_t push_take(struct session *ss, struct page_source *s, uint64_t page, uint64_t nr_pages)
{
	uint64_t nr = 0;
	struct want *w;

	pthread_mutex_lock(&ss->lock);
	w = find_want(ss, s);
	if (w) {
		while (nr < nr_pages && want_bit(w, page + nr))
			nr++;
		set_bits(w, page, nr, false);
		ss->cursor = w;
		ss->cursor_page = page + nr;
	}
	pthread_mutex_unlock(&ss->lock);
	return w ? nr : nr_pages;
}

void push_end(struct session *ss)
{
	struct want *w;

	while ((w = TAILQ_FIRST(&ss->wants))) {
		TAILQ_REMOVE(&ss->wants, w, link);
		free(w->bits);
		free(w);
	}
}

static int change_want(struct pusher *p, const struct ps_msg *m, bool on)
{
	struct page_source *s = server_source(p->cl->server, m->dst_id);
	uint64_t vaddr = m->vaddr, nr = m->nr_pages, left;
	struct want *w = NULL;

	if (!s || m->vaddr % PAGE_SIZE || nr > s->nr_pages) {
		pr_err("%s: wants pages that are not here: object 0x%" PRIx64 ", 0x%" PRIx64
		       ", %" PRIu64 " pages",
		       p->cl->c.peer, m->dst_id, m->vaddr, m->nr_pages);
		return -1;
	}
	pthread_mutex_lock(&p->ss->lock);
	w = get_want(p->ss, s);
	while (w && nr) {
		int64_t page = source_page(s, vaddr, &left);

		if (page < 0)
			break;
		left = min(left, nr);
		set_bits(w, page, left, on);
		vaddr += left * PAGE_SIZE;
		nr -= left;
	}
	pthread_mutex_unlock(&p->ss->lock);
	if (w && nr)
		pr_err("%s: wants pages that are not here: object 0x%" PRIx64 ", 0x%" PRIx64,
		       p->cl->c.peer, m->dst_id, vaddr);
	p->done_sent = false;
	return w && !nr ? 0 : -1;
}

/* ---- the window ---- */

/* What the link itself holds at the speed that was measured, twice, since both vary; and what may wait at its end. In pages. */
static double most(const struct tcp_info *info)
{
	double link = info->tcpi_delivery_rate / 1e6 * info->tcpi_min_rtt / PAGE_SIZE;

	return min(AHEAD + 2 * link, (double)MAX_WINDOW);
}

static void adapt(struct pusher *p, uint64_t nr_pages)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	uint64_t queue_us, now;

	if (getsockopt(p->cl->c.fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return;
	queue_us = info.tcpi_rtt - min(info.tcpi_rtt, info.tcpi_min_rtt);
	if (queue_us < QUEUE_US) {
		/* doubles within one window's time */
		p->window = min(p->window + nr_pages, most(&info));
		return;
	}
	now = now_us();
	if (queue_us > 2 * QUEUE_US && now >= p->next_cut_us) {
		p->window = max(p->window * 0.7, (double)MIN_WINDOW);
		p->next_cut_us = now + info.tcpi_rtt;
	}
}

static int take_ack(struct pusher *p, uint64_t nr_pages)
{
	if (nr_pages > p->sent - p->acked) {
		pr_err("%s: acknowledged more pages than were sent", p->cl->c.peer);
		return -1;
	}
	p->acked += nr_pages;
	adapt(p, nr_pages);
	return 0;
}

/* ---- messages of the client ---- */

static int handle(struct pusher *p, const struct ps_msg *m)
{
	switch (ps_cmd(m)) {
	case PS_WANT:
		return change_want(p, m, true);
	case PS_UNWANT:
		return change_want(p, m, false);
	case PS_START:
		p->started = true;
		return 0;
	case PS_ACK:
		return take_ack(p, m->nr_pages);
	}
	pr_err("%s: unknown command 0x%x on the bulk connection", p->cl->c.peer, ps_cmd(m));
	return -1;
}

/* Takes what has arrived; BLOCK: waits for something. 0; 1: the client closed; -1 logged. */
static int listen_to_client(struct pusher *p, bool block)
{
	struct ps_msg m;
	ssize_t n;
	size_t used;

	n = conn_take(&p->cl->c, p->in + p->in_len, sizeof(p->in) - p->in_len,
		      block ? 0 : MSG_DONTWAIT);
	if (!n)
		return 1;
	if (n < 0) {
		if (errno == EAGAIN)
			return 0;
		if (!p->cl->c.quiet && errno != EPROTO)
			pr_perror("Can't receive from %s", p->cl->c.peer);
		return -1;
	}
	p->in_len += n;
	for (used = 0; p->in_len - used >= sizeof(m); used += sizeof(m)) {
		memcpy(&m, p->in + used, sizeof(m));
		if (handle(p, &m))
			return -1;
	}
	memmove(p->in, p->in + used, p->in_len - used);
	p->in_len -= used;
	return 0;
}

/* ---- pushing ---- */

/* The batch as it goes out: its table, in which stretches of zeros are runs of their own, and the rest of the pages. */
struct batch {
	struct ps_msg m;
	struct ps_run table[PS_BATCH];
	struct iovec iov[PS_BATCH + 1];
	unsigned nr_iov;
};

static void batch_add(struct batch *b, uint64_t vaddr, char *page)
{
	struct ps_run *r = b->m.len ? &b->table[b->m.len - 1] : NULL;
	struct iovec *last = &b->iov[b->nr_iov - 1];
	bool zeros = page_is_zero(page);

	if (r && r->zeros == zeros && r->vaddr + r->nr_pages * PAGE_SIZE == vaddr)
		r->nr_pages++;
	else
		b->table[b->m.len++] = (struct ps_run){ vaddr, 1, zeros };
	b->m.nr_pages++;
	if (zeros)
		return;
	if (b->nr_iov > 1 && (char *)last->iov_base + last->iov_len == page)
		last->iov_len += PAGE_SIZE;
	else
		b->iov[b->nr_iov++] = (struct iovec){ page, PAGE_SIZE };
}

/* Puts one compressed piece in the place of the pages, where it is worth it. */
static void pack_batch(struct batch *b, struct pusher *p)
{
	char *buf = b->nr_iov > 1 ? b->iov[1].iov_base : NULL;
	size_t len = 0, packed;
	const void *out;

	/* between stretches of zeros they are apart */
	for (unsigned i = 1; i < b->nr_iov; i++) {
		memmove(buf + len, b->iov[i].iov_base, b->iov[i].iov_len);
		len += b->iov[i].iov_len;
	}
	b->nr_iov = min(b->nr_iov, 2U);
	packed = len ? pack(p->packer, buf, len, !p->waited, &out) : 0;
	if (packed) {
		b->m.cmd = PS_PACKED;
		b->m.vaddr = packed;
		b->iov[1] = (struct iovec){ (void *)out, packed };
	} else if (len) {
		b->iov[1] = (struct iovec){ buf, len };
	}
}

static int send_batch(struct pusher *p, uint64_t dst_id, const struct source_run *runs, unsigned nr)
{
	char *buf = p->cl->buf;
	struct batch b = { .m = { .cmd = PS_DATA, .vaddr = runs->vaddr, .dst_id = dst_id },
			   .nr_iov = 1 };

	for (unsigned i = 0; i < nr; i++)
		for (uint64_t k = 0; k < runs[i].nr_pages; k++, buf += PAGE_SIZE)
			batch_add(&b, runs[i].vaddr + k * PAGE_SIZE, buf);
	if (p->packer)
		pack_batch(&b, p);
	/* the table lies right behind the header */
	b.iov[0] = (struct iovec){ &b.m, sizeof(b.m) + b.m.len * sizeof(b.table[0]) };
	return conn_sendv(&p->cl->c, b.iov, b.nr_iov);
}

/* 1: a piece went out, 0: nothing is wanted, -1 logged */
static int push_piece(struct pusher *p)
{
	uint64_t room = p->window - (p->sent - p->acked), max;
	struct source_run runs[PS_BATCH];
	struct page_source *s;
	unsigned nr;

	/* small windows mean slow links: smaller pieces there */
	max = min((uint64_t)PS_BATCH, max((uint64_t)p->window / 4, 4UL));
	nr = pick(p->ss, min(max, max(room, 1UL)), &s, runs);
	if (!nr)
		return 0;
	if (source_readv(s, runs, nr, p->cl->buf) || send_batch(p, s->dst_id, runs, nr))
		return -1;
	for (unsigned i = 0; i < nr; i++)
		p->sent += runs[i].nr_pages;
	return 1;
}

static int say_done(struct pusher *p)
{
	struct ps_msg m = { .cmd = PS_DONE };

	p->done_sent = true;
	return conn_send(&p->cl->c, &m, sizeof(m));
}

static int push(struct pusher *p)
{
	bool block = true;

	for (;;) {
		int ret = listen_to_client(p, block);

		if (ret)
			return ret > 0 ? 0 : -1;
		block = !p->started || p->sent - p->acked >= p->window;
		p->waited |= block;
		if (block)
			continue;
		ret = push_piece(p);
		p->waited = false;
		if (ret < 0)
			return -1;
		/* who has been woken for less than a piece takes is not to wait for the next tick of the scheduler: 1 to 4 ms */
		sched_yield();
		block = !ret;
		if (!ret && !p->done_sent && say_done(p))
			return -1;
	}
}

int push_loop(struct client *cl)
{
	cleanup_free struct pusher *p = xzalloc(sizeof(*p));
	uint64_t packed = cl->session->features & PS_FEAT_PACKED;
	int ret;

	if (!p)
		return -1;
	p->cl = cl;
	p->ss = cl->session;
	p->window = 4 * MIN_WINDOW;
	if (packed) {
		p->packer = packer_new(packed, PS_BATCH * PAGE_SIZE);
		if (!p->packer)
			return -1;
	}
	ret = push(p);
	packer_free(p->packer);
	return ret;
}
