/* SPDX-License-Identifier: GPL-2.0-only */
/* What serve.c (connections), client.c (what each says, urgent answers) and push.c (the bulk connection) share. Nobody else includes this. */
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
#include "util/xmalloc.h"

/* One answer to a GET carries at most this; a client that wants more asks again. */
#define ANSWER_PAGES 64
#define PIECE_PAGES  64
/* bytes of a client's buffer */
#define CLIENT_BUF (max(PS_BATCH, ANSWER_PAGES) * PAGE_SIZE)

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

/* An object that is served. */
struct stored {
	struct page_source source;
	struct pagemap *owned; /* opened here, from images */
	TAILQ_ENTRY(stored) link;
};

struct client {
	struct server *server;
	struct conn c;
	pthread_t thread;
	bool ended;	       /* the thread can be joined; under server.lock */
	atomic_bool spoke;     /* a first message has come, after TLS where that is on */
	atomic_bool used;      /* it was given pages */
	atomic_ullong last_us; /* when it came, or spoke last */
	unsigned nr_bad;       /* questions for pages that are not here */
	struct session *session;
	char *buf; /* of ANSWER_PAGES or PS_BATCH */
	TAILQ_ENTRY(client) link;
};

struct server {
	pthread_mutex_t lock;
	TAILQ_HEAD(, stored) sources;
	TAILQ_HEAD(, session) sessions;
	TAILQ_HEAD(, client) clients;
	unsigned nr_clients;
	uint64_t run;	 /* which dump is served: inventory_run(); 0: not known */
	bool images;	 /* sources are opened as they are asked for */
	bool plain_used; /* a client without extensions got pages */
	bool committed, complete, failed;
	bool ending; /* the main thread has left its loop */
	bool commit_asked; /* a client waits for the main thread, which traces the tasks, to make it irrevocable */
	pthread_cond_t decided; /* committed has changed */
	struct op *op;		/* dump --lazy-pages; NULL: images */
	bool lost;		/* the only client is gone, and nothing says that it comes back */
	bool interrupted;	/* ends as soon as the spill has */
	int wake;		/* eventfd: one of these changed, or a thread ended */
};

/* ---- serve.c; beside push.c only the fuzzers call these ---- */
int server_init(struct server *sv, bool images);
void server_end(struct server *sv);
/* The main thread shall look at what has changed. */
void server_wake(struct server *sv);
/* Sets one of its flags, and says so. */
void server_tell(struct server *sv, bool *what);
/* The source for DST_ID, or NULL: there is none (nothing is logged), or it is damaged (logged) */
struct page_source *server_source(struct server *sv, uint64_t dst_id);

/* ---- client.c; beside serve.c and push.c only the fuzzers call these ---- */
/* Everything that a client says, until it ends. 0; -1 logged. */
int serve_client(struct client *cl);
/* A new session, with one reference. NULL: out of memory, logged. */
struct session *session_new(struct server *sv, uint64_t features);
void session_put(struct server *sv, struct session *ss);

#define SERVE_STAGE(name, call) STAGE("serve", name, call)

/* ---- page_server.c; beside it only the fuzzers call this ---- */
/* Stores what a dump sends. 0; 1: it was not a dump, logged; -1 logged */
int page_server_receive(struct conn *c);

/* ---- push.c ---- */
/* Runs the bulk connection until it ends. 0: the client closed it, -1: logged. */
int push_loop(struct client *cl);
/*
 * PAGE and up to NR_PAGES from it are about to be sent on urgent: how many it shall be. Those that bulk has sent already are on their way, before
 * anything that would be sent now: 0 where the first is one of them. Bulk leaves these out, and goes on after them.
 */
uint64_t push_take(struct session *ss, struct page_source *s, uint64_t page, uint64_t nr_pages);
void push_end(struct session *ss);

#endif
