/* SPDX-License-Identifier: GPL-2.0-only */
/* What remote.c, bulk.c and plain.c share. Nobody else includes this. */
#ifndef CRIU_LAZY_REMOTE_H
#define CRIU_LAZY_REMOTE_H

#include "lazy/lazyd.h"
#include "net/conn.h"
#include "net/pack.h"
#include "net/wire.h"

/* The urgent connection, or the only one: what has been received and not yet looked at. */
struct inbox {
	struct conn c;
	char *buf; /* of INBOX bytes */
	size_t len;
};
#define INBOX (4 * (MAX_WIDEN * PAGE_SIZE + sizeof(struct ps_msg)))

/* A message of the bulk connection: first received, then placed in turns. */
struct bulkbox {
	struct {
		struct ps_msg m;
		struct ps_run runs[PS_BATCH];
	} head;
	size_t have;	 /* bytes of HEAD, then of the pages */
	ssize_t bytes;	 /* of the pages on the wire; -1: the head is not complete */
	size_t unpacked; /* of the pages in memory */
	bool complete;
	struct object *obj;
	unsigned run;	  /* being placed, */
	uint32_t done;	  /* pages of it that are */
	char *buf;	  /* PS_BATCH pages */
	char *packed;	  /* as many bytes: where they are received when they are compressed */
	size_t at;	  /* in BUF */
	uint64_t unacked; /* pages in place that the server has not been told of */
};

/* A GET under way. Answers come in the order of the questions. */
struct ask {
	struct object *obj;
	uint64_t src, nr_pages, at_ns;
	enum arrival why;
};

struct remote {
	struct inbox urgent;
	struct conn bulk;
	struct bulkbox box;
	uint64_t features, token;
	struct unpacker *unpacker; /* NULL: the server does not compress */
	bool started;
	struct ask *asks; /* a ring of ASKS */
	unsigned first, nr;
	struct ps_msg out[64]; /* GETs not yet sent */
	unsigned nr_out;
	uint64_t background;   /* plain: pages under way */
	struct object *cursor; /* plain: where the background goes on */
	uint64_t cursor_page;
};
#define ASKS 4096

/* ---- bulk.c ---- */
/* One message without pages on the bulk connection. -1 logged. */
int bulk_send(struct remote *r, uint32_t cmd, struct object *obj, uint64_t src, uint64_t nr);

/* ---- plain.c ---- */
#define PLAIN_MAX 128 /* pages of the background that are under way, at most */
/* Asks for what is next. -1 logged. */
int plain_background(struct lazyd *d);

/* ---- remote.c ---- */
/* A GET, sent by remote_flush(). AT_NS: of the fault, where WHY is BY_FAULT. -1 logged. */
int remote_get(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages, uint64_t at_ns,
	       enum arrival why);
/* The connection broke (ERR), or was closed (0): logs it. -1 */
int remote_lost(struct conn *c, int err);

#endif
