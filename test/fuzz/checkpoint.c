// SPDX-License-Identifier: GPL-2.0-only
/*
 * A directory of images, given to every command that takes one. The input is a list of files: an index into the
 * names below, a length of two bytes, the contents. pages-1.img has always 16 pages.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>

#include "fuzz.h"
#include "util/xmalloc.h"

static const char *const names[] = { "inventory.img",	    "pstree.img",      "core-100.img",
				     "core-101.img",	    "core-105.img",    "ids-100.img",
				     "fs-100.img",	    "fdinfo-2.img",    "files.img",
				     "mm-100.img",	    "pagemap-100.img", "pipes-data.img",
				     "sk-queues.img",	    "remap-fpath.img", "memfd.img",
				     "pagemap-shmem-1.img", "filelocks.img" };

static char top[] = "/dev/shm/fuzz-checkpoint-XXXXXX", dir[64], out[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void clean(void)
{
	remove_tree(top);
}

static void set_up(void)
{
	if (!mkdtemp(top) || !freopen("/dev/null", "w", stdout))
		abort();
	snprintf(dir, sizeof(dir), "%s/dir", top);
	snprintf(out, sizeof(out), "%s/out", top);
	atexit(clean);
}

static void put(const char *name, const void *data, size_t size, size_t full_size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write_full(fd, data, size) || ftruncate(fd, full_size))
		abort();
	close(fd);
}

static void write_files(const uint8_t *data, size_t size)
{
	if (mkdir(dir, 0700))
		abort();
	put("pages-1.img", "", 0, 16 * PAGE_SIZE);
	while (size >= 3) {
		size_t len = data[1] | data[2] << 8;
		const char *name = names[data[0] % ARRAY_SIZE(names)];

		data += 3;
		size -= 3;
		len = min(len, size);
		put(name, data, len, len);
		data += len;
		size -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const looks[] = { "ps", "fds", "mems", "rss" };

	log_level = LOG_SILENT;
	if (!*dir)
		set_up();
	write_files(data, size);
	cmd_verify(2, (char *[]){ "verify", dir, NULL });
	for (int i = 0; i < 4; i++)
		cmd_x(3, (char *[]){ "x", dir, (char *)looks[i], NULL });
	cmd_diff(3, (char *[]){ "diff", dir, dir, NULL });
	cmd_make_lazy(3, (char *[]){ "make-lazy", dir, out, NULL });
	remove_tree(out);
	cmd_core_dump(3, (char *[]){ "core-dump", dir, out, NULL });
	remove_tree(out);
	remove_tree(dir);
	return 0;
}
