/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the three parts of the framing share: image.c (names, opening, closing), write.c, read.c. Nobody else includes it.
 *
 * One buffer per open image; large raw pieces go past it. Reading trusts nothing: an entry's size is compared with the
 * bytes that are left before memory is taken, and where the file's size is not known (a pipe), memory grows only as
 * bytes arrive.
 */
#ifndef CRIU_IMAGE_FRAMING_H
#define CRIU_IMAGE_FRAMING_H

#include "image/image.h"

#define BUF_SIZE 65536

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

/* The name of a file of TYPE, fresh. */
char *image_file_name(enum image_type type, unsigned long id, const char *str);
/* A struct without a file yet; takes NAME over (NULL: out of memory before). */
struct image *image_alloc(enum image_type type, char *name, bool writing);
int image_take_buffer(struct image *img);
/* The magic before the kind's own. */
uint32_t image_first_magic(enum image_type type);
/* write.c: what is buffered, to the file; makes the file of an image that is made lazily. */
int image_flush(struct image *img);
int image_ensure_file(struct image *img);
/* read.c: buffers at least WANT bytes (at most BUF_SIZE) where the file has them. Returns what is buffered, or -1. */
ssize_t image_fill(struct image *img, size_t want);

#endif
