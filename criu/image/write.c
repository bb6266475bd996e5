// SPDX-License-Identifier: GPL-2.0-only
/* Image files: making and writing them. */
#include "image/framing.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define MAX_SINGLE 0x7fffffffU

int image_flush(struct image *img)
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
	if (img->failed || image_take_buffer(img))
		return -1;
	if (len > BUF_SIZE - img->len && image_flush(img))
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

static int write_magics(struct image *img)
{
	uint32_t m[2] = { image_first_magic(img->type), img->kind->magic };

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
	return create(dirfd, type, image_file_name(type, id, ""));
}

struct image *image_create_str(int dirfd, enum image_type type, const char *id)
{
	return create(dirfd, type, image_file_name(type, 0, id));
}

struct image *image_create_lazily(int dirfd, enum image_type type, unsigned long id)
{
	struct image *img = image_alloc(type, image_file_name(type, id, ""), true);

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

int image_ensure_file(struct image *img)
{
	return img->fd < 0 ? make_file(img, img->dirfd) : 0;
}

int image_write(struct image *img, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	cleanup_free uint8_t *big = NULL;
	uint32_t size = len;

	if (image_ensure_file(img) || image_take_buffer(img))
		return -1;
	if (len > MAX_SINGLE) {
		pr_err("Entry of %zu bytes does not fit into image %s", len, img->name);
		return -1;
	}
	if (put_bytes(img, &size, sizeof(size)))
		return -1;
	img->nr_entries++;
	if (len <= BUF_SIZE) { /* packed in place */
		if (len > BUF_SIZE - img->len && image_flush(img))
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
	if (image_ensure_file(img))
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

	if (image_ensure_file(img) || image_flush(img))
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
