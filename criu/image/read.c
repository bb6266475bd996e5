// SPDX-License-Identifier: GPL-2.0-only
/* Image files: reading entries and what follows them. */
#include "image/framing.h"

#include <errno.h>
#include <unistd.h>

#include "image/depth.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define GROW_STEP (1 << 20) /* how much is taken at once where the size of the file is not known */

ssize_t image_fill(struct image *img, size_t want)
{
	if (img->len - img->pos >= want)
		return img->len - img->pos;
	if (image_take_buffer(img))
		return -1;
	memmove(img->buf, img->buf + img->pos, img->len - img->pos);
	img->buf_off += img->pos;
	img->len -= img->pos;
	img->pos = 0;
	while (img->len < want) {
		ssize_t n = read(img->fd, img->buf + img->len, BUF_SIZE - img->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			pr_perror("Can't read image %s at offset %lld", img->name,
				  (long long)(img->buf_off + img->len));
			return -1;
		}
		if (!n)
			break;
		img->len += n;
	}
	return img->len;
}

static int damaged_end(struct image *img, const char *what, size_t want, off_t have)
{
	pr_err("Image %s is damaged at offset %lld: %s needs %zu bytes, %lld are left", img->name,
	       (long long)image_offset(img), what, want, (long long)have);
	return -1;
}

/* LEN bytes into BUF, the buffered ones first. */
static int get_bytes(struct image *img, void *buf, size_t len, const char *what)
{
	size_t part = min(len, img->len - img->pos);
	ssize_t n;

	if (part) { /* the buffer may not exist yet */
		memcpy(buf, img->buf + img->pos, part);
		img->pos += part;
	}
	if (part == len)
		return 0;
	/* the buffer is empty now: the rest goes straight to its place */
	n = read_full(img->fd, (char *)buf + part, len - part);
	if (n < 0) {
		pr_perror("Can't read image %s at offset %lld", img->name,
			  (long long)image_offset(img));
		return -1;
	}
	if (part + n < len)
		return damaged_end(img, what, len - part, n);
	img->buf_off += img->len + n;
	img->pos = img->len = 0;
	return 0;
}

off_t image_bytes_left(struct image *img)
{
	return img->size < 0 ? -1 : max(img->size - image_offset(img), (off_t)0);
}

int image_check_left(struct image *img, uint64_t len, const char *what)
{
	if (img->size >= 0 && len > (uint64_t)image_bytes_left(img))
		return damaged_end(img, what, len, image_bytes_left(img));
	return 0;
}

int image_read_raw(struct image *img, void *buf, size_t len)
{
	if (image_check_left(img, len, "what follows an entry"))
		return -1;
	return len ? get_bytes(img, buf, len, "what follows an entry") : 0;
}

int image_skip(struct image *img, uint64_t len)
{
	char buf[16384];

	if (image_check_left(img, len, "what follows an entry"))
		return -1;
	while (len) {
		size_t part = min(len, (uint64_t)sizeof(buf));

		if (get_bytes(img, buf, part, "what follows an entry"))
			return -1;
		len -= part;
	}
	return 0;
}

/* The bytes of an entry that does not fit into the buffer. */
static const uint8_t *big_entry(struct image *img, size_t size)
{
	size_t have = 0;

	while (have < size) {
		size_t part = img->size < 0 ? min(size - have, (size_t)GROW_STEP) : size;

		if (xgrow(&img->entry, &img->entry_cap, have + part - 1, 1) ||
		    get_bytes(img, img->entry + have, part, "an entry"))
			return NULL;
		have += part;
	}
	return img->entry;
}

static const uint8_t *entry_bytes(struct image *img, uint32_t size)
{
	const uint8_t *p;
	ssize_t have;

	if (image_check_left(img, size, "an entry"))
		return NULL;
	if (size > BUF_SIZE)
		return big_entry(img, size);
	have = image_fill(img, size);
	if (have < 0)
		return NULL;
	if (have < (ssize_t)size) {
		damaged_end(img, "an entry", size, have);
		return NULL;
	}
	p = img->buf + img->pos;
	img->pos += size;
	return p;
}

int image_read_bytes(struct image *img, const uint8_t **bytes, uint32_t *size)
{
	ssize_t have = image_fill(img, 4);

	if (have <= 0)
		return have;
	if (have < 4)
		return damaged_end(img, "the size of an entry", 4, have);
	memcpy(size, img->buf + img->pos, 4);
	img->pos += 4;
	*bytes = entry_bytes(img, *size);
	return *bytes ? 1 : -1;
}

int image_decode(struct image *img, const ProtobufCMessageDescriptor *desc, off_t start,
		 const uint8_t *p, uint32_t size, ProtobufCMessage **msg)
{
	if (!message_depth_ok(desc, p, size)) {
		pr_err("Image %s is damaged at offset %lld: the %s in it is nested too deeply",
		       img->name, (long long)start, desc->name);
		return -1;
	}
	*msg = protobuf_c_message_unpack(desc, NULL, size, p);
	if (!*msg) {
		pr_err("Image %s is damaged at offset %lld: the %u bytes there are no %s",
		       img->name, (long long)start, size, desc->name);
		return -1;
	}
	img->nr_entries++;
	return 1;
}

int image_read_desc(struct image *img, const ProtobufCMessageDescriptor *desc,
		    ProtobufCMessage **msg)
{
	off_t start = image_offset(img);
	const uint8_t *p;
	uint32_t size;
	int ret = image_read_bytes(img, &p, &size);

	*msg = NULL;
	return ret <= 0 ? ret : image_decode(img, desc, start, p, size, msg);
}

int image_read(struct image *img, ProtobufCMessage **msg)
{
	const struct image_kind *k = img->kind;

	if (!k->entry) {
		pr_err("Image %s holds raw bytes, no entries", img->name);
		return -1;
	}
	return image_read_desc(img, k->head && !img->nr_entries ? k->head : k->entry, msg);
}

int image_read_one(int dirfd, enum image_type type, unsigned long id, ProtobufCMessage **msg)
{
	struct image *img = image_open(dirfd, type, id, true);
	int ret = img ? image_read(img, msg) : -1;

	if (!ret)
		pr_err("Image %s is damaged: it has no entry", img->name);
	else if (ret > 0 && image_fill(img, 1) > 0) {
		pr_err("Image %s is damaged at offset %lld: more than one entry", img->name,
		       (long long)image_offset(img));
		protobuf_c_message_free_unpacked(*msg, NULL);
		*msg = NULL;
		ret = -1;
	}
	image_close(img);
	return ret > 0 ? 0 : -1;
}
