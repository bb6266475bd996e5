/* SPDX-License-Identifier: GPL-2.0-only */
/* What serve.c (connections, urgent answers) and push.c (the bulk connection) share. Nobody else includes this. */
#ifndef CRIU_LAZY_SERVER_H
#define CRIU_LAZY_SERVER_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mem/source.h"
#include "net/conn.h"
#include "net/wire.h"

/* One answer to a GET carries at most this; a client that wants more asks again. */
#define ANSWER_PAGES 64
#define PIECE_PAGES  64

/* What one client still wants of one source: a bit per page of the source. */
struct want {
	struct page_source *source;
	uint64_t *bits;
	uint64_t nr; /* bits set */
	TAILQ_ENTRY(want) link;
};

/* A client that speaks the extensions: its two connections. */
struct session {
	uint64_t token;
	unsigned refs; /* connections; under server.lock */
	uint64_t features;
	pthread_mutex_t lock; /* what follows */
	TAILQ_HEAD(, want) wants;
	struct want *cursor; /* where bulk goes on */
	uint64_t cursor_page;
	TAILQ_ENTRY(session) link;
};

struct server;
struct client {
	struct server *server;
	struct conn c;
	pthread_t thread;
	bool ended; /* the thread can be joined; under server.lock */
	struct session *session;
	char *buf; /* of ANSWER_PAGES or PS_BATCH */
	TAILQ_ENTRY(client) link;
};

/* server.c: the source for DST_ID, or NULL: there is none (nothing is logged), or it is damaged (logged) */
struct page_source *server_source(struct server *sv, uint64_t dst_id);

/* ---- push.c ---- */
/* Runs the bulk connection until it ends. 0: the client closed it, -1: logged. */
int push_loop(struct client *cl);
/* A page was just sent on urgent: bulk leaves it out, and goes on after it. */
void push_skip(struct session *ss, struct page_source *s, uint64_t page, uint64_t nr_pages);
void push_end(struct session *ss);

#endif
