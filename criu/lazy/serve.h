/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The side that has the pages: page-server --lazy-pages (from images) and dump --lazy-pages (from frozen tasks). Answers the GETs
 * of CRIU's plain protocol, and speaks the extensions with our own lazy-pages: an urgent connection for faults, and a bulk
 * connection on which the pages are pushed (push.c). One thread per connection.
 */
#ifndef CRIU_LAZY_SERVE_H
#define CRIU_LAZY_SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct op;
struct pagemap;

/* page-server --lazy-pages: serves the images directory until a client says that it has everything. 0, or -1 logged. */
int serve_images(void);

/* ---- dump --lazy-pages ---- */
struct lazy_source {
	pid_t vpid;	    /* in the images: what lazy-pages asks for */
	pid_t pid;	    /* the frozen task */
	struct pagemap *pm; /* as written: its LAZY runs without PRESENT are read from the task */
};

struct lazy_outcome {
	bool committed; /* the destination runs, or may run: the tasks here must not */
	bool complete;	/* it has, or does not need, every page */
};

/* Listens on --address and --port (or takes --ps-socket), before tasks are touched. -1 logged. */
int lazy_server_listen(void);
/* The dump failed before it served: the port is free again. */
void lazy_server_unlisten(void);
/*
 * Writes the --status-fd byte and serves until the destination has everything. 0: *OUT is complete. -1, logged: where
 * OUT->committed is false, the tasks are still the only copy, and are to be resumed.
 */
int lazy_serve_tasks(struct op *op, struct lazy_source *sources, unsigned nr,
		     struct lazy_outcome *out);

#endif
