// SPDX-License-Identifier: GPL-2.0-only
#include "net/pack.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <zstd.h>

#include "net/wire.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* of zstd: 300 and 150 MB/s with pages of text, and a third fewer bytes for it */
#define QUICKEST      (-4)
#define MOST_THOROUGH 3
#define PATIENCE      8 /* batches in a row before the level is changed */
/* After a batch that does not shrink so many are not tried, then twice as many, up to the most. */
#define FIRST_PAUSE 1U
#define MOST_PAUSE  32U

/* Both in their frame formats, with a checksum: memory that is damaged on the way must not pass for pages. */
struct packer {
	ZSTD_CCtx *zstd; /* NULL: lz4 */
	char *out;
	size_t size;	      /* of OUT */
	unsigned pause, left; /* batches not to be tried: next time, and still */
	int level, trend;
};

static const LZ4F_preferences_t lz4_frame = {
	.frameInfo = { .blockSizeID = LZ4F_max256KB,
		       .blockMode = LZ4F_blockIndependent,
		       .contentChecksumFlag = LZ4F_contentChecksumEnabled },
};

struct packer *packer_new(uint64_t features, size_t most)
{
	struct packer *p = xzalloc(sizeof(*p));
	bool zstd = features & PS_FEAT_ZSTD;

	if (!p)
		return NULL;
	p->level = QUICKEST;
	p->size = zstd ? most : LZ4F_compressFrameBound(most, &lz4_frame);
	p->out = xmalloc(p->size);
	if (zstd)
		p->zstd = ZSTD_createCCtx();
	if (p->out && (!zstd || p->zstd))
		return p;
	packer_free(p);
	pr_err("Out of memory for compression");
	return NULL;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->zstd);
	free(p->out);
	free(p);
}

/* 0 where it needs more than ROOM. */
static size_t compress(struct packer *p, const void *data, size_t len, size_t room)
{
	size_t n;

	if (!p->zstd) {
		n = LZ4F_compressFrame(p->out, p->size, data, len, &lz4_frame);
		return LZ4F_isError(n) || n > room ? 0 : n;
	}
	ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, p->level);
	n = ZSTD_compress2(p->zstd, p->out, room, data, len);
	return ZSTD_isError(n) ? 0 : n;
}

static void adapt(struct packer *p, bool link_waits)
{
	p->trend += link_waits ? -1 : 1;
	if (abs(p->trend) < PATIENCE)
		return;
	p->level = min(max(p->level + (p->trend < 0 ? -1 : 1), QUICKEST), MOST_THOROUGH);
	p->trend = 0;
}

size_t pack(struct packer *p, const void *data, size_t len, bool link_waits, const void **packed)
{
	size_t n;

	adapt(p, link_waits);
	if (p->left) {
		p->left--;
		return 0;
	}
	n = compress(p, data, len, len - len / 8);
	if (n) {
		p->pause = 0;
	} else {
		p->pause = min(max(p->pause * 2, FIRST_PAUSE), MOST_PAUSE);
		p->left = p->pause;
	}
	*packed = p->out;
	return n;
}

struct unpacker {
	ZSTD_DCtx *zstd; /* one of them */
	LZ4F_dctx *lz4;
};

struct unpacker *unpacker_new(uint64_t features)
{
	struct unpacker *u = xzalloc(sizeof(*u));

	if (!u)
		return NULL;
	if (features & PS_FEAT_ZSTD)
		u->zstd = ZSTD_createDCtx();
	else if (LZ4F_isError(LZ4F_createDecompressionContext(&u->lz4, LZ4F_VERSION)))
		u->lz4 = NULL;
	if (u->zstd || u->lz4)
		return u;
	free(u);
	pr_err("Out of memory for compression");
	return NULL;
}

void unpacker_free(struct unpacker *u)
{
	if (!u)
		return;
	ZSTD_freeDCtx(u->zstd);
	LZ4F_freeDecompressionContext(u->lz4);
	free(u);
}

static int unpack_lz4(struct unpacker *u, const char *packed, size_t len, char *data, size_t size)
{
	size_t done = 0, used = 0, left = 1;

	LZ4F_resetDecompressionContext(u->lz4);
	/* one call where all is right; each of the others makes some progress, or is the last */
	while (left && used < len) {
		size_t out = size - done, in = len - used;

		left = LZ4F_decompress(u->lz4, data + done, &out, packed + used, &in, NULL);
		if (LZ4F_isError(left) || !(out | in))
			return -1;
		done += out;
		used += in;
	}
	return !left && used == len && done == size ? 0 : -1;
}

int unpack(struct unpacker *u, const void *packed, size_t len, void *data, size_t size)
{
	if (u->lz4)
		return unpack_lz4(u, packed, len, data, size);
	/* an error is larger than any size */
	return ZSTD_decompressDCtx(u->zstd, data, size, packed, len) == size ? 0 : -1;
}
