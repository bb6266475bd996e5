/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page sinks: where dump and page-server put pages. Two kinds behind one interface: image files (pagemap-ID.img and
 * pages-N.img in a directory), and a page server over TCP (dump --page-server). Called by the dump of memory and by page-server.
 *
 * Use, per object (an address space or a shared memory object):
 *	sink_open(&s, dirfd, IMG_PAGEMAP, vpid)
 *	for each run, sorted:
 *		sink_run(&s, start, nr_pages, flags)
 *		PRESENT: write exactly nr_pages * PAGE_SIZE bytes to sink_fd(&s), from wherever they are
 *	sink_close(&s)
 * sink_fd() is a plain file or a stream socket, always blocking: a puppet may get a copy and writev(2) or vmsplice its
 * own memory into it, where sink_raw() says so. Short writes are for the caller to go on with.
 * A puppet that writes several runs in one program puts the headers between them itself: sink_header().
 *
 * Around all objects: sink_connect() before the first, sink_disconnect() after the last; they do nothing for local images.
 */
#ifndef CRIU_MEM_SINK_H
#define CRIU_MEM_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/pagemap.h"

struct page_sink {
	struct pagemap_writer w; /* local */
	bool remote;
	uint64_t dst_id;     /* remote: as on the wire */
	bool server_parent;  /* remote: the server has a parent pagemap for this object */
	uint64_t nr_present; /* pages announced so far */
};

/* --page-server: connects to --address and --port, or takes --ps-socket. Before tasks are touched, so that a server that is not there harms nobody. */
int sink_connect(void);
/*
 * The last object is written: the server confirms that it stored everything. FAILED: the dump failed, the server is told so
 * and reports no success. -1 logged.
 */
int sink_disconnect(bool failed);

/* TYPE: IMG_PAGEMAP or IMG_SHMEM_PAGEMAP. -1 logged. */
int sink_open(struct page_sink *s, int dirfd, enum image_type type, unsigned long id);
/* Is there a parent pagemap for it, so that PE_PARENT runs can be told? Local: DIRFD/parent/pagemap-ID.img exists. */
bool sink_has_parent(struct page_sink *s, int dirfd, enum image_type type, unsigned long id);
/* -1, logged: the pages of task ID that did not change since (TRACKED) cannot be left to the parent, as it is not there. */
int sink_check_parent(struct page_sink *s, int dirfd, unsigned long id, bool tracked);
/* Announces a run of PE_* FLAGS. */
int sink_run(struct page_sink *s, uint64_t start, uint64_t nr_pages, uint32_t flags);
/* The same without sending: *HDR gets what must be written to sink_fd() before the run's bytes. Its length (0 for local images), or -1 logged. */
#define SINK_HEADER_MAX 32
int sink_header(struct page_sink *s, uint64_t start, uint64_t nr_pages, uint32_t flags,
		char hdr[SINK_HEADER_MAX]);
int sink_fd(struct page_sink *s);
/* For messages: where the pages go. */
const char *sink_name(const struct page_sink *s);
/* False: what goes to sink_fd() must be encrypted first, so that only sink_write() may write. */
bool sink_raw(const struct page_sink *s);
/* Writes a run's bytes from here. -1 logged. */
int sink_write(struct page_sink *s, const void *buf, size_t len);
/* Local: writes what is left, closes. -1 logged. Called also after errors. */
int sink_close(struct page_sink *s);

#endif
