/* SPDX-License-Identifier: GPL-2.0-only */
/* What the fuzz targets (libFuzzer, llvm.org/docs/LibFuzzer.html) share. Built and run by `make fuzz`. */
#ifndef CRIU_TEST_FUZZ_H
#define CRIU_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crit/crit.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file in memory that holds SIZE bytes, read from its beginning. */
static inline int memory_file(const void *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write_full(fd, data, size) || lseek(fd, 0, SEEK_SET))
		abort();
	return fd;
}

/* All of a file in memory, NUL-terminated. */
static inline char *memory_bytes(int fd, size_t *size)
{
	struct stat st;
	char *buf;

	if (fstat(fd, &st))
		abort();
	buf = malloc(st.st_size + 1);
	if (!buf || pread_full(fd, buf, st.st_size, 0) != st.st_size)
		abort();
	buf[st.st_size] = 0;
	*size = st.st_size;
	return buf;
}

/* Decodes the image on FD (taken over) into a file in memory; -1 where it is damaged. */
static inline int decode_to_memory(int fd, bool pretty)
{
	struct decode_how how = { .pretty = pretty };
	enum image_type type;
	struct image *img = image_open_fd(fd, "fuzz", &type);
	int out_fd, ret;
	struct json_out out;

	if (!img)
		return -1;
	out_fd = memfd_create("json", MFD_CLOEXEC);
	if (out_fd < 0 || json_out_init(&out, out_fd, pretty))
		abort();
	ret = decode_image(img, type, &out, &how);
	image_close(img);
	if (json_out_finish(&out))
		abort();
	if (!ret) {
		lseek(out_fd, 0, SEEK_SET);
		return out_fd;
	}
	close(out_fd);
	return -1;
}

/* Encodes the JSON on FD (stays open) into a file in memory; -1 where it is refused. */
static inline int encode_to_memory(int fd)
{
	struct json_in in;
	int out = memfd_create("image", MFD_CLOEXEC), ret;

	if (out < 0 || json_in_init(&in, fd, "fuzz"))
		abort();
	ret = encode_image(&in, dup(out), "image");
	json_in_free(&in);
	if (!ret) {
		lseek(out, 0, SEEK_SET);
		return out;
	}
	close(out);
	return -1;
}

#endif
