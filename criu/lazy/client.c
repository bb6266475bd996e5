// SPDX-License-Identifier: GPL-2.0-only
/* What one client of a server of pages says, and what it is answered: each has a thread of its own (serve.c). */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "lazy/ready.h"
#include "lazy/server.h"
#include "op.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define FIRST_MESSAGE_S 10 /* a client that says nothing is let go */
#define MAX_BAD		64 /* questions for what is not here, */
#define LOG_BAD		4  /* of which these are logged */

/* ---- the urgent connection, and the only one of the plain protocol ---- */

/* One message per question: zeros, where all are, else data. */
static int send_answer(struct client *cl, const struct ps_msg *m, uint64_t nr)
{
	struct ps_msg a = { .cmd = PS_ADD_F | PE_PRESENT << 16,
			    .nr_pages = nr,
			    .vaddr = m->vaddr,
			    .dst_id = m->dst_id };
	struct iovec iov[] = { { &a, sizeof(a) }, { cl->buf, nr * PAGE_SIZE } };
	uint64_t zeros = 0;

	while (cl->session && zeros < nr && page_is_zero(cl->buf + zeros * PAGE_SIZE))
		zeros++;
	if (zeros == nr)
		a.cmd = PS_ZERO;
	return conn_sendv(&cl->c, iov, zeros == nr ? 1 : 2);
}

static int answer_get(struct client *cl, const struct ps_msg *m)
{
	struct page_source *s = server_source(cl->server, m->dst_id);
	struct ps_msg none = { .cmd = PS_ADD_F, .vaddr = m->vaddr, .dst_id = m->dst_id };
	uint64_t left, nr;
	int64_t page = -1;

	if (s && !(m->vaddr % PAGE_SIZE))
		page = source_page(s, m->vaddr, &left);
	if (page < 0) {
		if (cl->nr_bad++ == MAX_BAD) {
			pr_err("%s is let go: it asks for one page after the other that is not "
			       "here",
			       cl->c.peer);
			return -1;
		}
		if (cl->nr_bad <= LOG_BAD)
			pr_warn("%s asked for a page that is not here: object 0x%" PRIx64
				", 0x%" PRIx64,
				cl->c.peer, m->dst_id, m->vaddr);
		return conn_send(&cl->c, &none, sizeof(none));
	}
	nr = min(min(m->nr_pages, left), (uint64_t)ANSWER_PAGES);
	if (!nr)
		return conn_send(&cl->c, &none, sizeof(none));
	cl->used = true;
	if (cl->session)
		nr = push_take(cl->session, s, page, nr);
	else if (!cl->server->plain_used)
		server_tell(cl->server, &cl->server->plain_used);
	if (!nr) {
		none.len = PS_UNDERWAY;
		return conn_send(&cl->c, &none, sizeof(none));
	}
	if (source_read(s, m->vaddr, nr, cl->buf))
		return -1;
	return send_answer(cl, m, nr);
}

static int commit(struct client *cl)
{
	struct ps_msg m = { .cmd = PS_COMMIT };
	struct server *sv = cl->server;
	bool agreed;

	pr_info("%s asks whether the tasks may run there", cl->c.peer);
	/* the confirmation goes out when no accident can make the tasks here run again */
	server_tell(sv, &sv->commit_asked);
	pthread_mutex_lock(&sv->lock);
	while (!sv->committed && !sv->ending)
		pthread_cond_wait(&sv->decided, &sv->lock);
	agreed = sv->committed;
	pthread_mutex_unlock(&sv->lock);
	if (!agreed)
		return -1; /* the main thread has said why */
	pr_info("%s: the tasks run there now", cl->c.peer);
	return conn_send(&cl->c, &m, sizeof(m));
}

/* Said, so that the other side need not wait for an answer that never comes: the tasks here go on, those there must not. */
static int refuse_commit(struct client *cl)
{
	struct ps_msg m = { .cmd = PS_FORCE_CLOSE };
	struct server *sv = cl->server;
	bool committed;

	pthread_mutex_lock(&sv->lock);
	committed = sv->committed;
	sv->failed |= !committed;
	pthread_mutex_unlock(&sv->lock);
	if (!committed)
		conn_send(&cl->c, &m, sizeof(m));
	return -1;
}

/* The client is about to close its connections, with pages on the way in the other one. */
static void expect_end(struct client *cl)
{
	struct server *sv = cl->server;
	struct client *other;

	pthread_mutex_lock(&sv->lock);
	TAILQ_FOREACH (other, &sv->clients, link)
		if (other->session == cl->session)
			other->c.quiet = true;
	pthread_mutex_unlock(&sv->lock);
}

static int all_is_there(struct client *cl)
{
	int32_t status = 0;

	pr_info("%s has everything", cl->c.peer);
	expect_end(cl);
	conn_send(&cl->c, &status, sizeof(status));
	server_tell(cl->server, &cl->server->complete);
	return 0;
}

/* 0: go on, 1: the client is done, -1: logged */
static int urgent_message(struct client *cl, const struct ps_msg *m)
{
	int32_t status = 0;

	cl->last_us = now_us();
	switch (ps_cmd(m)) {
	case PS_GET:
		return answer_get(cl, m);
	case PS_COMMIT:
		if (cl->session)
			return SERVE_STAGE("commit", commit(cl)) ? refuse_commit(cl) : 0;
		break;
	case PS_CLOSE:
		return SERVE_STAGE("close", all_is_there(cl)) ? -1 : 1;
	case PS_FORCE_CLOSE:
		pr_err("%s gave up", cl->c.peer);
		conn_send(&cl->c, &status, sizeof(status));
		server_tell(cl->server, &cl->server->failed);
		return 1;
	}
	pr_err("%s: unknown command 0x%x", cl->c.peer, ps_cmd(m));
	return -1;
}

/* FIRST: a message that came already, or NULL */
static int urgent_loop(struct client *cl, const struct ps_msg *first)
{
	int ret = first ? urgent_message(cl, first) : 0;
	struct ps_msg m;

	while (!ret && !conn_recv(&cl->c, &m, sizeof(m)))
		ret = urgent_message(cl, &m);
	if (ret)
		return ret > 0 ? 0 : -1;
	if (cl->c.eof)
		pr_warn("%s closed the connection without saying that it has everything",
			cl->c.peer);
	return -1;
}

/* ---- sessions ---- */

struct session *session_new(struct server *sv, uint64_t features)
{
	struct session *ss = xzalloc(sizeof(*ss));

	if (!ss || getrandom(&ss->token, sizeof(ss->token), 0) != sizeof(ss->token)) {
		free(ss);
		return NULL;
	}
	ss->features = features;
	ss->refs = 1;
	TAILQ_INIT(&ss->wants);
	fair_mutex(&ss->lock);
	pthread_mutex_lock(&sv->lock);
	TAILQ_INSERT_TAIL(&sv->sessions, ss, link);
	pthread_mutex_unlock(&sv->lock);
	return ss;
}

static struct session *find_session(struct server *sv, uint64_t token)
{
	struct session *ss;

	pthread_mutex_lock(&sv->lock);
	TAILQ_FOREACH (ss, &sv->sessions, link)
		if (ss->token == token) {
			ss->refs++;
			break;
		}
	pthread_mutex_unlock(&sv->lock);
	return ss;
}

void session_put(struct server *sv, struct session *ss)
{
	bool last;

	pthread_mutex_lock(&sv->lock);
	last = !--ss->refs;
	if (last)
		TAILQ_REMOVE(&sv->sessions, ss, link);
	pthread_mutex_unlock(&sv->lock);
	if (!last)
		return;
	push_end(ss);
	pthread_mutex_destroy(&ss->lock);
	free(ss);
}

static int hello(struct client *cl, struct ps_msg *m)
{
	uint64_t run = cl->server->run, ours = PS_FEAT_BULK | PS_FEAT_COMMIT | PS_FEAT_PACKED;

	if (run && m->dst_id && m->dst_id != run) {
		pr_warn("%s is let go: it wants the pages of another dump", cl->c.peer);
		m->cmd = PS_FORCE_CLOSE;
		conn_send(&cl->c, m, sizeof(*m));
		return -1;
	}
	thread_answers_fast();
	cl->session = session_new(cl->server, m->vaddr & ours);
	if (!cl->session)
		return -1;
	m->nr_pages = PS_VERSION;
	m->vaddr = cl->session->features;
	m->dst_id = cl->session->token;
	return conn_send(&cl->c, m, sizeof(*m));
}

static int attach(struct client *cl, const struct ps_msg *m)
{
	cl->session = find_session(cl->server, m->dst_id);
	thread_takes_turns();
	if (cl->session) {
		cl->used = true;
		return 0;
	}
	pr_err("%s: bulk connection of an unknown session", cl->c.peer);
	return -1;
}

/* ---- from its first message ---- */

int serve_client(struct client *cl)
{
	struct ps_msg m;

	if (conn_set_timeout(&cl->c, FIRST_MESSAGE_S) || conn_secure(&cl->c, TLS_SERVER) ||
	    conn_recv(&cl->c, &m, sizeof(m)) || conn_set_timeout(&cl->c, 0))
		return -1;
	cl->spoke = true;
	switch (ps_cmd(&m)) {
	case PS_HELLO:
		return SERVE_STAGE("hello", hello(cl, &m)) ? -1 : urgent_loop(cl, NULL);
	case PS_ATTACH:
		return SERVE_STAGE("attach", attach(cl, &m)) ? -1 : push_loop(cl);
	}
	pr_warn("%s speaks the plain protocol: if it is lost half-way, so are the tasks",
		cl->c.peer);
	return urgent_loop(cl, &m);
}
