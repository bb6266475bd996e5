// SPDX-License-Identifier: GPL-2.0-only
/* Image files: names, opening, closing. */
#include "image/framing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/log.h"
#include "util/xmalloc.h"

char *image_file_name(enum image_type type, unsigned long id, const char *str)
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

/* Is NAME of the form FILE (of the table of kinds)? */
static bool name_matches(const char *file, const char *name, unsigned long *id)
{
	const char *spec = strchr(file, '%'), *end;
	size_t head = spec ? (size_t)(spec - file) : strlen(file);
	char *rest;

	*id = 0;
	if (strncmp(file, name, head))
		return false;
	if (!spec)
		return !name[head];
	end = spec + strcspn(spec, "udxs");
	if (*end == 's')
		return name[head];
	if (name[head] == '-' || name[head] == '+' || name[head] == ' ')
		return false;
	*id = strtoul(name + head, &rest, *end == 'x' ? 16 : 10);
	return rest != name + head && !strcmp(rest, end + 1);
}

int image_type_by_name(const char *name, unsigned long *id)
{
	for (int i = 0; i < IMG_TYPES; i++)
		if (name_matches(image_kinds[i].file, name, id))
			return i;
	return -1;
}

const char *image_name(const struct image *img)
{
	return img->name;
}

off_t image_offset(const struct image *img)
{
	return img->buf_off + (img->writing ? img->len : img->pos);
}

struct image *image_alloc(enum image_type type, char *name, bool writing)
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

int image_take_buffer(struct image *img)
{
	if (!img->buf)
		img->buf = xmalloc(BUF_SIZE);
	return img->buf ? 0 : -1;
}

uint32_t image_first_magic(enum image_type type)
{
	if (type == IMG_STATS || type == IMG_IRMAP_CACHE)
		return IMG_SERVICE_MAGIC;
	return IMG_COMMON_MAGIC;
}

int image_close(struct image *img)
{
	int ret = 0;

	if (!img)
		return 0;
	if (img->writing && img->fd >= 0 && (img->failed || image_flush(img)))
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

static int read_magics(struct image *img)
{
	bool inventory = img->type == IMG_INVENTORY;
	size_t len = inventory ? 4 : 8;
	ssize_t have;
	uint32_t m[2];

	if (!img->kind->magic)
		return 0;
	have = image_fill(img, len);
	if (have < 0)
		return -1;
	if (have < (ssize_t)len) {
		pr_err("Image %s is damaged: it has %zd bytes, its magic needs %zu", img->name,
		       have, len);
		return -1;
	}
	memcpy(inventory ? m + 1 : m, img->buf, len);
	if (m[1] != img->kind->magic || (!inventory && m[0] != image_first_magic(img->type))) {
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

		if (err == ENOENT && must_exist && type == IMG_INVENTORY)
			pr_err("There is no inventory.img: the images directory holds no "
			       "checkpoint, or one whose dump did not get to its end (is -D "
			       "right?)");
		else if (err == ENOENT && must_exist && type == IMG_PSTREE)
			pr_err("There is no pstree.img: the images directory holds only memory, of "
			       "a pre-dump or a spill, and no tasks. Those are in the last dump's");
		else if (err != ENOENT || must_exist)
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
	return open_named(dirfd, type, image_file_name(type, id, ""), must_exist);
}

struct image *image_open_str(int dirfd, enum image_type type, const char *id, bool must_exist)
{
	return open_named(dirfd, type, image_file_name(type, 0, id), must_exist);
}

/* The kind whose files begin with FIRST and then MAGIC. */
static int kind_by_magic(uint32_t first, uint32_t magic)
{
	for (int i = 0; i < IMG_TYPES; i++)
		if (image_kinds[i].magic == magic && magic && i != IMG_INVENTORY &&
		    image_first_magic(i) == first)
			return i;
	return -1;
}

static int find_kind(struct image *img)
{
	ssize_t have = image_fill(img, 8);
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

int image_fd(struct image *img)
{
	if (img->writing && (image_ensure_file(img) || image_flush(img)))
		return -1;
	return img->fd;
}
