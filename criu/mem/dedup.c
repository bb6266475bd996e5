// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/dedup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "cli/cli.h"
#include "mem/pagemap.h"
#include "util/dirs.h"
#include "util/log.h"

#define MAX_LINKS 1000

static uint64_t punched; /* bytes */

static int punch(int fd, uint64_t off, uint64_t len)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len)) {
		pr_perror("Can't punch %" PRIu64 " bytes out of a pages file", len);
		return -1;
	}
	punched += len;
	return 0;
}

/* Takes [START, END) out of the pages file of this link. */
static int punch_link(const struct pagemap *pm, int fd, uint64_t start, uint64_t end)
{
	for (size_t i = pagemap_find(pm, start); i < pm->nr && pm->runs[i].start < end; i++) {
		const struct page_run *r = &pm->runs[i];
		uint64_t from = max(start, r->start),
			 to = min(end, r->start + r->nr_pages * PAGE_SIZE);

		if ((r->flags & PE_PRESENT) &&
		    punch(fd, r->off_pages * PAGE_SIZE + (from - r->start), to - from))
			return -1;
	}
	return 0;
}

/* What CHILD has not left to its parent is not read from PM. CHILD NULL: nothing is. */
static int punch_unused(const struct pagemap *child, const struct pagemap *pm)
{
	cleanup_close int fd = -1;
	uint64_t at = 0;
	char path[32];

	if (pm->pages_fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pm->pages_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		pr_perror("Can't open a pages file for writing");
		return -1;
	}
	for (size_t i = 0; child && i < child->nr; i++) {
		const struct page_run *r = &child->runs[i];

		if (!(r->flags & PE_PARENT))
			continue;
		if (at < r->start && punch_link(pm, fd, at, r->start))
			return -1;
		at = r->start + r->nr_pages * PAGE_SIZE;
	}
	return punch_link(pm, fd, at, UINT64_MAX);
}

/* The pagemaps of a directory by name. */
static bool is_pagemap(const char *name, enum image_type *type, unsigned long *id)
{
	char end;

	if (sscanf(name, "pagemap-%lu.im%c", id, &end) == 2) {
		*type = IMG_PAGEMAP;
		return true;
	}
	*type = IMG_SHMEM_PAGEMAP;
	return sscanf(name, "pagemap-shmem-%lu.im%c", id, &end) == 2;
}

static int dedup_object(int dir, int parent, enum image_type type, unsigned long id)
{
	struct pagemap *child = dir < 0 ? NULL : pagemap_open(dir, type, id), *pm;
	int ret = 0;

	if (dir >= 0 && !child)
		return -1;
	pm = pagemap_open(parent, type, id);
	if (!pm)
		ret = errno == ENOENT ? 0 : -1;
	for (struct pagemap *l = pm; l && !ret; l = l->parent)
		ret = punch_unused(child, l);
	pagemap_close(child);
	pagemap_close(pm);
	return ret;
}

/* Every object of DIR; what its images in PARENT hold. DIR -1: everything in PARENT. */
static int dedup_dir(int dir, int parent)
{
	int list = openat(dir < 0 ? parent : dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = list < 0 ? NULL : fdopendir(list);
	enum image_type type;
	unsigned long id;
	struct dirent *de;

	if (!d) {
		pr_perror("Can't list an images directory");
		return -1;
	}
	while ((de = readdir(d)))
		if (is_pagemap(de->d_name, &type, &id) && dedup_object(dir, parent, type, id))
			return -1;
	return 0;
}

static int open_parent(int dir)
{
	int parent = openat(dir, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0 && errno != ENOENT)
		pr_perror("Can't open the parent of an images directory");
	return parent;
}

static int done(int ret)
{
	if (!ret)
		pr_info("%" PRIu64 " KiB of replaced pages were punched out", punched >> 10);
	return ret;
}

int dedup_parents(int dir)
{
	cleanup_close int parent = open_parent(dir);

	if (parent < 0)
		return errno == ENOENT ? 0 : -1;
	return done(dedup_dir(dir, parent));
}

int dedup_chain(int dir)
{
	cleanup_close int at = dup(dir);

	for (unsigned i = 0; i < MAX_LINKS && at >= 0; i++) {
		int parent = open_parent(at);

		if (parent < 0)
			return errno == ENOENT ? done(0) : -1;
		if (dedup_dir(at, parent)) {
			close(parent);
			return -1;
		}
		close(at);
		at = parent;
	}
	pr_err("The \"parent\" links of the images form a loop");
	return -1;
}

/* dedup_object() follows the links behind DIR. */
int dedup_all(int dir)
{
	return done(dedup_dir(-1, dir));
}

int cmd_dedup(void)
{
	if (faccessat(dirs.images, "parent", F_OK, 0) && errno == ENOENT)
		pr_warn("The images directory has no \"parent\", or one that leads nowhere: "
			"nothing in it replaces anything, nothing was done");
	return dedup_chain(dirs.images) ? 1 : 0;
}
