// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "util/io.h"
#include "util/log.h"

#define BUF_SIZE 65536
/* no entry is larger in practice; a larger one in a stream (no size to check against) is damage */
#define MAX_ENTRY (256U << 20)

struct image {
	int fd;
	int dirfd; /* created lazily: where */
	enum image_type type;
	char *name;
	bool writing, regular, first;
	uint64_t size; /* reading a regular file */
	uint64_t off;  /* of the next byte for the caller */
	char *buf;
	size_t used, at; /* bytes in buf; reading: consumed */
};

static char *file_name(enum image_type type, unsigned long id, const char *str)
{
	const char *fmt = image_kinds[type].file;

	if (strstr(fmt, "%s"))
		return xasprintf("%.*s%s", (int)(strchr(fmt, '%') - fmt), fmt, str ? str : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
	return xasprintf(fmt, id); /* a format of our own table */
#pragma GCC diagnostic pop
}

static struct image *image_new(enum image_type type, unsigned long id, const char *str)
{
	struct image *img = xzalloc(sizeof(*img));

	if (!img)
		return NULL;
	img->fd = img->dirfd = -1;
	img->type = type;
	img->first = true;
	img->name = file_name(type, id, str);
	img->buf = xmalloc(BUF_SIZE);
	if (!img->name || !img->buf) {
		image_close(img);
		return NULL;
	}
	return img;
}

int image_fd(struct image *img)
{
	return img->fd;
}

const char *image_name(const struct image *img)
{
	return img->name;
}

/* ---- writing ---- */

static int flush(struct image *img)
{
	if (img->used && write_full(img->fd, img->buf, img->used)) {
		pr_perror("Can't write to image %s", img->name);
		img->used = 0;
		return -1;
	}
	img->used = 0;
	return 0;
}

int image_write_raw(struct image *img, const void *buf, size_t len)
{
	if (img->used + len > BUF_SIZE && flush(img))
		return -1;
	if (len > BUF_SIZE) {
		if (!write_full(img->fd, buf, len))
			return 0;
		pr_perror("Can't write to image %s", img->name);
		return -1;
	}
	memcpy(img->buf + img->used, buf, len);
	img->used += len;
	return 0;
}

static int start_writing(struct image *img, int dirfd)
{
	const struct image_kind *k = &image_kinds[img->type];
	uint32_t outer = img->type == IMG_STATS || img->type == IMG_IRMAP_CACHE ? IMG_SERVICE_MAGIC
										: IMG_COMMON_MAGIC;

	img->writing = true;
	img->fd = openat(dirfd, img->name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	if (img->fd < 0) {
		pr_perror("Can't create image %s", img->name);
		return -1;
	}
	if (!k->magic)
		return 0;
	/* the inventory has its own magic alone */
	if (img->type != IMG_INVENTORY && image_write_raw(img, &outer, 4))
		return -1;
	return image_write_raw(img, &k->magic, 4);
}

static struct image *create(int dirfd, enum image_type type, unsigned long id, const char *str)
{
	struct image *img = image_new(type, id, str);

	if (img && start_writing(img, dirfd)) {
		img->used = 0;
		image_close(img);
		return NULL;
	}
	return img;
}

struct image *image_create(int dirfd, enum image_type type, unsigned long id)
{
	return create(dirfd, type, id, NULL);
}

struct image *image_create_str(int dirfd, enum image_type type, const char *id)
{
	return create(dirfd, type, 0, id);
}

struct image *image_create_lazily(int dirfd, enum image_type type, unsigned long id)
{
	struct image *img = image_new(type, id, NULL);

	if (img) {
		img->dirfd = dirfd;
		img->writing = true;
	}
	return img;
}

int image_write(struct image *img, const ProtobufCMessage *msg)
{
	uint32_t size = protobuf_c_message_get_packed_size(msg);
	cleanup_free uint8_t *packed = NULL;

	if (img->fd < 0 && start_writing(img, img->dirfd))
		return -1;
	if (size + 4 <= BUF_SIZE) {
		if (img->used + size + 4 > BUF_SIZE && flush(img))
			return -1;
		memcpy(img->buf + img->used, &size, 4);
		protobuf_c_message_pack(msg, (uint8_t *)img->buf + img->used + 4);
		img->used += size + 4;
		return 0;
	}
	packed = xmalloc(size);
	if (!packed)
		return -1;
	protobuf_c_message_pack(msg, packed);
	return image_write_raw(img, &size, 4) || image_write_raw(img, packed, size) ? -1 : 0;
}

int image_write_from(struct image *img, int fd, off_t *off, size_t len)
{
	if (flush(img))
		return -1;
	if (!copy_bytes(fd, off, img->fd, len))
		return 0;
	pr_perror("Can't copy %zu bytes into image %s", len, img->name);
	return -1;
}

int image_write_one(int dirfd, enum image_type type, unsigned long id, const ProtobufCMessage *msg)
{
	struct image *img = image_create(dirfd, type, id);
	int ret;

	if (!img)
		return -1;
	ret = image_write(img, msg);
	return image_close(img) || ret ? -1 : 0;
}

int image_close(struct image *img)
{
	int ret = 0;

	if (!img)
		return 0;
	if (img->writing && img->fd >= 0)
		ret = flush(img);
	if (img->fd >= 0 && close(img->fd) && img->writing) {
		pr_perror("Can't close image %s", img->name);
		ret = -1;
	}
	free(img->buf);
	free(img->name);
	free(img);
	return ret;
}

/* ---- reading ---- */

static int damaged(struct image *img, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int damaged(struct image *img, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	pr_err("Image %s is damaged at offset %lu: %s", img->name, img->off, what);
	errno = EINVAL;
	return -1;
}

/* Up to LEN bytes through the buffer. */
static ssize_t take(struct image *img, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t part = min(len - done, img->used - img->at);
		ssize_t n;

		if (part) {
			memcpy((char *)buf + done, img->buf + img->at, part);
			img->at += part;
			done += part;
			continue;
		}
		/* large pieces past the buffer */
		if (len - done >= BUF_SIZE) {
			n = read_full(img->fd, (char *)buf + done, len - done);
			if (n < 0)
				goto fail;
			done += n;
			break;
		}
		n = read(img->fd, img->buf, BUF_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto fail;
		if (!n)
			break;
		img->used = n;
		img->at = 0;
	}
	return done;
fail:
	pr_perror("Can't read image %s at offset %lu", img->name, img->off + done);
	return -1;
}

int image_read_raw(struct image *img, void *buf, size_t len)
{
	ssize_t n = take(img, buf, len);

	if (n < 0)
		return -1;
	if ((size_t)n != len)
		return damaged(img, "%zu bytes expected, %zd are there", len, n);
	img->off += len;
	return 0;
}

off_t image_bytes_left(struct image *img)
{
	return img->regular && img->size > img->off ? img->size - img->off : 0;
}

int image_read_desc(struct image *img, const ProtobufCMessageDescriptor *desc,
		    ProtobufCMessage **msg)
{
	cleanup_free uint8_t *packed = NULL;
	uint32_t size;
	ssize_t n = take(img, &size, 4);

	*msg = NULL;
	if (n <= 0)
		return n;
	if (n != 4)
		return damaged(img, "the file ends within the size of an entry");
	if (size > MAX_ENTRY || (img->regular && size > img->size - min(img->size, img->off + 4)))
		return damaged(img, "an entry of %u bytes, more than the file holds", size);
	img->off += 4;
	packed = xmalloc(size ? size : 1);
	if (!packed || image_read_raw(img, packed, size))
		return -1;
	*msg = protobuf_c_message_unpack(desc, NULL, size, packed);
	if (!*msg) {
		img->off -= size;
		return damaged(img, "%u bytes that are no %s", size, desc->name);
	}
	img->first = false;
	return 1;
}

int image_read(struct image *img, ProtobufCMessage **msg)
{
	const struct image_kind *k = &image_kinds[img->type];
	const ProtobufCMessageDescriptor *desc = img->first && k->head ? k->head : k->entry;

	if (!desc) {
		pr_err("Image %s: nothing is known of the entries of %s", img->name, k->name);
		return -1;
	}
	return image_read_desc(img, desc, msg);
}

static int note_size(struct image *img)
{
	struct stat st;

	if (fstat(img->fd, &st)) {
		pr_perror("Can't look at image %s", img->name);
		return -1;
	}
	img->regular = S_ISREG(st.st_mode);
	img->size = st.st_size;
	return 0;
}

static int check_magic(struct image *img)
{
	const struct image_kind *k = &image_kinds[img->type];
	uint32_t magic;

	if (!k->magic)
		return 0;
	if (image_read_raw(img, &magic, 4))
		return -1;
	if (magic == IMG_COMMON_MAGIC || magic == IMG_SERVICE_MAGIC)
		if (image_read_raw(img, &magic, 4))
			return -1;
	if (magic == k->magic)
		return 0;
	img->off -= 4;
	return damaged(img, "magic number %#x instead of %#x (%s)", magic, k->magic, k->name);
}

static struct image *open_image(int dirfd, enum image_type type, unsigned long id, const char *str,
				bool must_exist)
{
	struct image *img = image_new(type, id, str);

	if (!img)
		return NULL;
	img->fd = openat(dirfd, img->name, O_RDONLY | O_CLOEXEC);
	if (img->fd < 0) {
		int err = errno;

		if (must_exist || err != ENOENT)
			pr_perror("Can't open image %s", img->name);
		image_close(img);
		errno = err;
		return NULL;
	}
	if (note_size(img) || check_magic(img)) {
		image_close(img);
		errno = EINVAL;
		return NULL;
	}
	return img;
}

struct image *image_open(int dirfd, enum image_type type, unsigned long id, bool must_exist)
{
	return open_image(dirfd, type, id, NULL, must_exist);
}

struct image *image_open_str(int dirfd, enum image_type type, const char *id, bool must_exist)
{
	return open_image(dirfd, type, 0, id, must_exist);
}

static int find_type(struct image *img, enum image_type *type)
{
	uint32_t magic;

	if (image_read_raw(img, &magic, 4))
		return -1;
	if ((magic == IMG_COMMON_MAGIC || magic == IMG_SERVICE_MAGIC) &&
	    image_read_raw(img, &magic, 4))
		return -1;
	for (int i = 0; i < IMG_TYPES; i++)
		if (image_kinds[i].magic && image_kinds[i].magic == magic) {
			*type = i;
			return 0;
		}
	img->off -= 4;
	return damaged(img, "magic number %#x is none of an image's", magic);
}

struct image *image_open_fd(int fd, const char *name, enum image_type *type)
{
	struct image *img = image_new(IMG_INVENTORY, 0, NULL);

	if (!img) {
		close(fd);
		return NULL;
	}
	img->fd = fd;
	free(img->name);
	img->name = xstrdup(name);
	if (!img->name || note_size(img) || find_type(img, type)) {
		image_close(img);
		return NULL;
	}
	img->type = *type;
	return img;
}

int image_read_one(int dirfd, enum image_type type, unsigned long id, ProtobufCMessage **msg)
{
	struct image *img = image_open(dirfd, type, id, true);
	int ret;

	*msg = NULL;
	if (!img)
		return -1;
	ret = image_read(img, msg);
	if (!ret)
		damaged(img, "there is no entry");
	image_close(img);
	return ret == 1 ? 0 : -1;
}
