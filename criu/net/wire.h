/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page server's protocol: headers and commands on the TCP connection. Used by the sink (dump --page-server), page-server,
 * lazy-pages and dump --lazy-pages. Little endian, natural alignment. Documentation/PROTOCOL.md tells the whole story.
 */
#ifndef CRIU_NET_WIRE_H
#define CRIU_NET_WIRE_H

#include <stdint.h>

struct ps_msg {
	uint32_t cmd; /* low half: PS_*, high half: PE_* flags */
	uint32_t len; /* padding of the plain protocol; DATA and PACKED: runs; ADD_F: PS_UNDERWAY */
	uint64_t nr_pages;
	uint64_t vaddr;
	uint64_t dst_id; /* id << 8 | PS_TYPE_* */
};
_Static_assert(sizeof(struct ps_msg) == 32, "as on the wire");

struct ps_run {
	uint64_t vaddr;
	uint32_t nr_pages;
	uint32_t zeros; /* 1: all zeros, and not sent */
};
/* One PS_DATA carries at most this many pages, each of which may be a run of its own. */
#define PS_BATCH 64

enum {
	PS_ADD = 1,
	PS_HOLE = 2,
	PS_OPEN = 3,
	PS_OPEN2 = 4,
	PS_PARENT = 5,
	PS_ADD_F = 6,
	PS_GET = 7,
	PS_CLOSE = 0x1023,
	PS_FORCE_CLOSE = 0x1024,
};

/* The extensions, after a hello only. C: sent by lazy-pages, S: by the server; U: urgent connection, B: bulk connection. */
enum {
	PS_HELLO =
		0x2000, /* C U: nr_pages version, vaddr PS_FEAT_* wanted. S U: version and features agreed, dst_id session */
	PS_ATTACH = 0x2001, /* C B: this is the bulk connection of session dst_id. No answer */
	PS_WANT = 0x2002,   /* C B: push this run */
	PS_UNWANT = 0x2003, /* C B: do not push this run: it was discarded */
	PS_START = 0x2004,  /* C B: all WANTs are sent, begin to push */
	PS_DATA = 0x2005,   /* S B: a batch of pages: len runs follow, and the pages */
	PS_ZERO = 0x2006,   /* S U: the answer to a GET: zeros, nothing follows */
	PS_ACK = 0x2007,    /* C B: nr_pages more pages are in place */
	PS_DONE = 0x2008,   /* S B: everything that was wanted has been sent */
	PS_COMMIT =
		0x2009, /* C U: the tasks are about to run here. S U: the same back: they never will again there */
	PS_PACKED =
		0x200a, /* S B: as DATA, but the pages are compressed together, into vaddr bytes */
};

/* ps_msg.len of an ADD_F without pages: they are not missing there, but on their way on the bulk connection */
#define PS_UNDERWAY 1

#define PS_VERSION  1
/* features */
enum {
	PS_FEAT_BULK = 1,   /* second connection, pushed */
	PS_FEAT_COMMIT = 2, /* PS_COMMIT */
	PS_FEAT_LZ4 = 4,    /* PS_PACKED, with one of these */
	PS_FEAT_ZSTD = 8,
	PS_FEAT_PACKED = PS_FEAT_LZ4 | PS_FEAT_ZSTD,
};

enum { PS_TYPE_TASK = 1, PS_TYPE_SHMEM = 2 };

static inline uint16_t ps_cmd(const struct ps_msg *m)
{
	return m->cmd & 0xffff;
}
static inline uint32_t ps_flags(const struct ps_msg *m)
{
	return m->cmd >> 16;
}
static inline uint64_t ps_id(int type, uint64_t id)
{
	return id << 8 | type;
}

#endif
