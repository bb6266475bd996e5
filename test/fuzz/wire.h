/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the targets of the wire share: a directory with a small checkpoint's pagemaps, and sockets that already hold all that the other side will ever say.
 */
#ifndef CRIU_TEST_FUZZ_WIRE_H
#define CRIU_TEST_FUZZ_WIRE_H

#include <fcntl.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "lazy/journal.h"
#include "lazy/stats.h"
#include "mem/pagemap.h"
#include "net/wire.h"
#include "util/dirs.h"
#include "util/opts.h"

#define BASE	0x200000000000ULL
#define REMOTE	7 /* its pages are elsewhere */
#define LOCAL	8 /* its pages are here */
#define MAX_SAY (64 << 10)

static char wire_path[] = "/dev/shm/fuzz-wire-XXXXXX";

static inline void wire_clean(void)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", wire_path);
	if (system(cmd))
		abort();
}

static inline void wire_pagemap(unsigned long id, uint32_t flags)
{
	static const struct {
		uint64_t page, nr;
	} runs[] = { { 0, 10 }, { 16, 70 }, { 100, 3 }, { 200, 40 } };
	struct pagemap_writer pw;
	char page[PAGE_SIZE];

	if (pagemap_create(&pw, dirs.images, IMG_PAGEMAP, id))
		abort();
	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++) {
		if (pagemap_add(&pw, BASE + runs[i].page * PAGE_SIZE, runs[i].nr, flags))
			abort();
		for (unsigned k = 0; flags & PE_PRESENT && k < runs[i].nr; k++) {
			memset(page, k % 5 ? k : 0, sizeof(page));
			if (write_full(image_fd(pw.pages), page, sizeof(page)))
				abort();
		}
	}
	if (pagemap_finish(&pw))
		abort();
}

/* Once: the directory; with IMAGES the two pagemaps in it. */
static inline void wire_set_up(bool images)
{
	if (dirs.images >= 0)
		return;
	log_level = getenv("FUZZ_LOG") ? LOG_DEBUG : LOG_SILENT;
	opts.ps_socket = opts.status_fd = -1;
	if (!mkdtemp(wire_path))
		abort();
	atexit(wire_clean);
	dirs.images = dirs.work = open(wire_path, O_RDONLY | O_DIRECTORY);
	if (!images)
		return;
	wire_pagemap(REMOTE, PE_LAZY);
	wire_pagemap(LOCAL, PE_LAZY | PE_PRESENT);
}

/* A journal that nobody has written to yet. */
static inline struct journal *wire_journal(void)
{
	static struct journal *j;

	if (!j)
		j = journal_new();
	j->used = 0;
	memset(j->log, 0, 64);
	j->asked = j->finished = j->full = false;
	return j;
}

/* Statistics; what they say does not matter. */
static inline struct history *wire_history(void)
{
	static struct history h = { .recorded = true, .width_ns = 1000000 };

	return &h;
}

/* A socket pair with room for all that either side sends, so that nobody has to read. */
static inline void wire_pair(int s[2])
{
	int size = 64 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s))
		abort();
	for (int i = 0; i < 2; i++)
		if (setsockopt(s[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
			abort();
}

static inline void wire_say(int sock, const void *data, size_t size)
{
	if (size && send(sock, data, size, MSG_NOSIGNAL) != (ssize_t)size)
		abort();
}

#endif
