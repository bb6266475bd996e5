/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compressed batches of pages (lazy-pages --compress), with lz4 or zstd. A batch is compressed by itself: nothing has to be known of the ones before it. Called by
 * the server's push.c and by lazy-pages' bulk.c.
 */
#ifndef CRIU_NET_PACK_H
#define CRIU_NET_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packer;
struct unpacker;

/* FEATURES: one of PS_FEAT_LZ4 and PS_FEAT_ZSTD, for batches of up to MOST bytes. NULL: out of memory, logged. */
struct packer *packer_new(uint64_t features, size_t most);
void packer_free(struct packer *p);
/*
 * The length of DATA compressed, and where it is, until the next call. 0: it does not become smaller by an eighth, or is not even tried, since what came before
 * did not: send it as it is. LINK_WAITS: the link had nothing to do meanwhile; zstd is told to be quick then, and to be thorough where it is the link that is
 * waited for.
 */
size_t pack(struct packer *p, const void *data, size_t len, bool link_waits, const void **packed);

struct unpacker *unpacker_new(uint64_t features);
void unpacker_free(struct unpacker *u);
/* LEN bytes from a stranger must become exactly SIZE bytes. -1: they do not; nothing is logged. */
int unpack(struct unpacker *u, const void *packed, size_t len, void *data, size_t size);

#endif
