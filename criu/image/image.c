// SPDX-License-Identifier: GPL-2.0-only
/*
 * Framing. One buffer per open image; large raw pieces go past it. Reading trusts nothing: an entry's size is
 * compared with the bytes that are left before memory is taken, and where the file's size is not known (a pipe), memory
 * grows only as bytes arrive.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/depth.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define BUF_SIZE   65536
#define GROW_STEP  (1 << 20) /* how much is taken at once where the size of the file is not known */
#define MAX_SINGLE 0x7fffffffU

struct image {
	int fd, dirfd; /* fd is -1 in an image made lazily, before its first write */
	enum image_type type;
	const struct image_kind *kind;
	char *name;
	bool writing, failed;
	uint8_t *buf;	 /* BUF_SIZE bytes, made at first use */
	size_t pos, len; /* reading: next byte and end of what is buffered; writing: len only */
	off_t buf_off;	 /* file offset of buf[0], counted here: pipes have none */
	off_t size;	 /* of a regular file being read; -1: not known */
	uint8_t *entry;	 /* scratch for an entry larger than the buffer */
	size_t entry_cap;
	unsigned long nr_entries;
};

/* ---- names ---- */

static char *file_name(enum image_type type, unsigned long id, const char *str)
{
	const char *file = image_kinds[type].file, *spec = strchr(file, '%'), *end;

	if (!spec)
		return xstrdup(file);
	end = spec + strcspn(spec, "udxs");
	if (*end == 's')
		return xasprintf("%.*s%s%s", (int)(spec - file), file, str, end + 1);
	if (*end == 'x')
		return xasprintf("%.*s%lx%s", (int)(spec - file), file, id, end + 1);
	return xasprintf("%.*s%lu%s", (int)(spec - file), file, id, end + 1);
}

const char *image_name(const struct image *img)
{
	return img->name;
}

off_t image_offset(const struct image *img)
{
	return img->buf_off + (img->writing ? img->len : img->pos);
}

static struct image *image_alloc(enum image_type type, char *name, bool writing)
{
	struct image *img = name ? xzalloc(sizeof(*img)) : NULL;

	if (!img) {
		free(name);
		return NULL;
	}
	img->fd = -1;
	img->dirfd = -1;
	img->size = -1;
	img->type = type;
	img->kind = &image_kinds[type];
	img->name = name;
	img->writing = writing;
	return img;
}

static int take_buffer(struct image *img)
{
	if (!img->buf)
		img->buf = xmalloc(BUF_SIZE);
	return img->buf ? 0 : -1;
}

/* ---- writing ---- */

static int flush(struct image *img)
{
	if (!img->len)
		return 0;
	if (write_full(img->fd, img->buf, img->len)) {
		pr_perror("Can't write image %s at offset %lld", img->name,
			  (long long)img->buf_off);
		img->failed = true;
		return -1;
	}
	img->buf_off += img->len;
	img->len = 0;
	return 0;
}

static int put_bytes(struct image *img, const void *buf, size_t len)
{
	if (img->failed || take_buffer(img))
		return -1;
	if (len > BUF_SIZE - img->len && flush(img))
		return -1;
	if (len > BUF_SIZE) {
		if (write_full(img->fd, buf, len)) {
			pr_perror("Can't write image %s at offset %lld", img->name,
				  (long long)img->buf_off);
			img->failed = true;
			return -1;
		}
		img->buf_off += len;
		return 0;
	}
	memcpy(img->buf + img->len, buf, len);
	img->len += len;
	return 0;
}

static uint32_t first_magic(enum image_type type)
{
	if (type == IMG_STATS || type == IMG_IRMAP_CACHE)
		return IMG_SERVICE_MAGIC;
	return IMG_COMMON_MAGIC;
}

static int write_magics(struct image *img)
{
	uint32_t m[2] = { first_magic(img->type), img->kind->magic };

	if (!img->kind->magic)
		return 0;
	if (img->type == IMG_INVENTORY)
		return put_bytes(img, &m[1], 4);
	return put_bytes(img, m, 8);
}

static int make_file(struct image *img, int dirfd)
{
	/* a new file, not the old one cut: what is hard-linked elsewhere stays as it is */
	if (unlinkat(dirfd, img->name, 0) && errno != ENOENT) {
		pr_perror("Can't replace image %s", img->name);
		return -1;
	}
	img->fd = openat(dirfd, img->name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			 0600);
	if (img->fd < 0) {
		pr_perror("Can't create image %s", img->name);
		return -1;
	}
	return write_magics(img);
}

static struct image *create(int dirfd, enum image_type type, char *name)
{
	struct image *img = image_alloc(type, name, true);

	if (img && make_file(img, dirfd)) {
		image_close(img);
		return NULL;
	}
	return img;
}

struct image *image_create(int dirfd, enum image_type type, unsigned long id)
{
	return create(dirfd, type, file_name(type, id, ""));
}

struct image *image_create_str(int dirfd, enum image_type type, const char *id)
{
	return create(dirfd, type, file_name(type, 0, id));
}

struct image *image_create_lazily(int dirfd, enum image_type type, unsigned long id)
{
	struct image *img = image_alloc(type, file_name(type, id, ""), true);

	if (img)
		img->dirfd = dirfd;
	return img;
}

struct image *image_create_fd(int fd, const char *name, enum image_type type)
{
	struct image *img = image_alloc(type, xstrdup(name), true);

	if (!img) {
		close(fd);
		return NULL;
	}
	img->fd = fd;
	if (write_magics(img)) {
		image_close(img);
		return NULL;
	}
	return img;
}

static int ensure_file(struct image *img)
{
	return img->fd < 0 ? make_file(img, img->dirfd) : 0;
}

int image_write(struct image *img, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	cleanup_free uint8_t *big = NULL;
	uint32_t size = len;

	if (ensure_file(img) || take_buffer(img))
		return -1;
	if (len > MAX_SINGLE) {
		pr_err("Entry of %zu bytes does not fit into image %s", len, img->name);
		return -1;
	}
	if (put_bytes(img, &size, sizeof(size)))
		return -1;
	img->nr_entries++;
	if (len <= BUF_SIZE) { /* packed in place */
		if (len > BUF_SIZE - img->len && flush(img))
			return -1;
		img->len += protobuf_c_message_pack(msg, img->buf + img->len);
		return 0;
	}
	big = xmalloc(len);
	if (!big)
		return -1;
	protobuf_c_message_pack(msg, big);
	return put_bytes(img, big, len);
}

int image_write_raw(struct image *img, const void *buf, size_t len)
{
	if (ensure_file(img))
		return -1;
	return len ? put_bytes(img, buf, len) : 0;
}

/* From a pipe the pages themselves move; sendfile() cannot do that. */
static ssize_t splice_all(int in, int out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = splice(in, NULL, out, NULL, len - done, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return done ? -1 : 0;
		if (!n) {
			errno = ENODATA;
			return -1;
		}
		done += n;
	}
	return done;
}

int image_write_from(struct image *img, int fd, off_t *off, size_t len)
{
	ssize_t done = 0;

	if (ensure_file(img) || flush(img))
		return -1;
	if (!off)
		done = splice_all(fd, img->fd, len);
	if (done < 0 || copy_bytes(fd, off, img->fd, len - done)) {
		pr_perror("Can't copy %zu bytes into image %s", len, img->name);
		img->failed = true;
		return -1;
	}
	img->buf_off += len;
	return 0;
}

int image_write_one(int dirfd, enum image_type type, unsigned long id, const ProtobufCMessage *msg)
{
	struct image *img = image_create(dirfd, type, id);
	int ret;

	if (!img)
		return -1;
	ret = image_write(img, msg);
	return image_close(img) ? -1 : ret;
}

int image_close(struct image *img)
{
	int ret = 0;

	if (!img)
		return 0;
	if (img->writing && img->fd >= 0 && (img->failed || flush(img)))
		ret = -1;
	if (img->fd >= 0 && close(img->fd) && img->writing && !ret) {
		pr_perror("Can't write image %s", img->name);
		ret = -1;
	}
	free(img->buf);
	free(img->entry);
	free(img->name);
	free(img);
	return ret;
}

/* ---- reading ---- */

/* Buffers at least WANT bytes (at most BUF_SIZE) where the file has them. Returns what is buffered, or -1. */
static ssize_t fill(struct image *img, size_t want)
{
	if (img->len - img->pos >= want)
		return img->len - img->pos;
	if (take_buffer(img))
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
	have = fill(img, size);
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

int image_read_desc(struct image *img, const ProtobufCMessageDescriptor *desc,
		    ProtobufCMessage **msg)
{
	off_t start = image_offset(img);
	ssize_t have = fill(img, 4);
	const uint8_t *p;
	uint32_t size;

	*msg = NULL;
	if (have <= 0)
		return have;
	if (have < 4)
		return damaged_end(img, "the size of an entry", 4, have);
	memcpy(&size, img->buf + img->pos, 4);
	img->pos += 4;
	p = entry_bytes(img, size);
	if (!p)
		return -1;
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

int image_read(struct image *img, ProtobufCMessage **msg)
{
	const struct image_kind *k = img->kind;

	if (!k->entry) {
		pr_err("Image %s holds raw bytes, no entries", img->name);
		return -1;
	}
	return image_read_desc(img, k->head && !img->nr_entries ? k->head : k->entry, msg);
}

static int read_magics(struct image *img)
{
	bool inventory = img->type == IMG_INVENTORY;
	size_t len = inventory ? 4 : 8;
	ssize_t have;
	uint32_t m[2];

	if (!img->kind->magic)
		return 0;
	have = fill(img, len);
	if (have < 0)
		return -1;
	if (have < (ssize_t)len) {
		pr_err("Image %s is damaged: it has %zd bytes, its magic needs %zu", img->name,
		       have, len);
		return -1;
	}
	memcpy(inventory ? m + 1 : m, img->buf, len);
	if (m[1] != img->kind->magic || (!inventory && m[0] != first_magic(img->type))) {
		pr_err("File %s is no %s image: its magic is 0x%x, not 0x%x", img->name,
		       img->kind->name, m[1], img->kind->magic);
		return -1;
	}
	img->pos = len;
	return 0;
}

static void find_size(struct image *img)
{
	struct stat st;
	off_t pos;

	if (fstat(img->fd, &st) || !S_ISREG(st.st_mode))
		return;
	pos = lseek(img->fd, 0, SEEK_CUR);
	if (pos >= 0)
		img->size = max(st.st_size - pos, (off_t)0);
}

static struct image *open_named(int dirfd, enum image_type type, char *name, bool must_exist)
{
	struct image *img = image_alloc(type, name, false);

	if (!img)
		return NULL;
	img->fd = openat(dirfd, img->name, O_RDONLY | O_CLOEXEC);
	if (img->fd < 0) {
		int err = errno;

		if (err != ENOENT || must_exist)
			pr_perror("Can't open image %s", img->name);
		image_close(img);
		errno = err;
		return NULL;
	}
	find_size(img);
	if (read_magics(img)) {
		image_close(img);
		errno = EINVAL;
		return NULL;
	}
	return img;
}

struct image *image_open(int dirfd, enum image_type type, unsigned long id, bool must_exist)
{
	return open_named(dirfd, type, file_name(type, id, ""), must_exist);
}

struct image *image_open_str(int dirfd, enum image_type type, const char *id, bool must_exist)
{
	return open_named(dirfd, type, file_name(type, 0, id), must_exist);
}

/* The kind whose files begin with FIRST and then MAGIC. */
static int kind_by_magic(uint32_t first, uint32_t magic)
{
	for (int i = 0; i < IMG_TYPES; i++)
		if (image_kinds[i].magic == magic && magic && i != IMG_INVENTORY &&
		    first_magic(i) == first)
			return i;
	return -1;
}

static int find_kind(struct image *img)
{
	ssize_t have = fill(img, 8);
	uint32_t m[2] = { 0, 0 };
	int type;

	if (have < 0)
		return -1;
	if (have)
		memcpy(m, img->buf, min(have, (ssize_t)8));
	if (have >= 4 && m[0] == image_kinds[IMG_INVENTORY].magic) {
		img->type = IMG_INVENTORY;
		img->pos = 4;
	} else {
		type = kind_by_magic(m[0], m[1]);
		if (have < 8 || type < 0) {
			pr_err("File %s is no image with entries: it begins with 0x%x 0x%x (raw "
			       "files such as pages-N.img have no magic)",
			       img->name, m[0], m[1]);
			return -1;
		}
		img->type = type;
		img->pos = 8;
	}
	img->kind = &image_kinds[img->type];
	return 0;
}

struct image *image_open_fd(int fd, const char *name, enum image_type *type)
{
	struct image *img = image_alloc(IMG_INVENTORY, xstrdup(name), false);

	if (!img) {
		close(fd);
		return NULL;
	}
	img->fd = fd;
	find_size(img);
	if (find_kind(img)) {
		image_close(img);
		return NULL;
	}
	*type = img->type;
	return img;
}

int image_read_one(int dirfd, enum image_type type, unsigned long id, ProtobufCMessage **msg)
{
	struct image *img = image_open(dirfd, type, id, true);
	int ret = img ? image_read(img, msg) : -1;

	if (!ret)
		pr_err("Image %s is damaged: it has no entry", img->name);
	else if (ret > 0 && fill(img, 1) > 0) {
		pr_err("Image %s is damaged at offset %lld: more than one entry", img->name,
		       (long long)image_offset(img));
		protobuf_c_message_free_unpacked(*msg, NULL);
		*msg = NULL;
		ret = -1;
	}
	image_close(img);
	return ret > 0 ? 0 : -1;
}

int image_fd(struct image *img)
{
	if (img->writing && (ensure_file(img) || flush(img)))
		return -1;
	return img->fd;
}
