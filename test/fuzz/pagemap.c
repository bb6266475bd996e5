// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pagemap and its parent: the first byte says how many pages their files hold and where the second begins. What is accepted
 * must answer every question within the files.
 */
#include <fcntl.h>

#include "fuzz.h"
#include "mem/pagemap.h"

static int dir = -1;
static char path[] = "/dev/shm/fuzz-pagemap-XXXXXX";

static void put(const char *name, const void *data, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write_full(fd, data, size))
		abort();
	close(fd);
}

static void put_pages(const char *name, unsigned nr)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || ftruncate(fd, nr * PAGE_SIZE))
		abort();
	close(fd);
}

static void clean(void)
{
	static const char *const names[] = { "parent/pagemap-1.img", "parent/pages-1.img",
					     "pagemap-1.img", "pages-1.img" };

	for (unsigned i = 0; i < 4; i++)
		unlinkat(dir, names[i], 0);
	unlinkat(dir, "parent", AT_REMOVEDIR);
	rmdir(path);
}

static void set_up(void)
{
	if (!mkdtemp(path))
		abort();
	dir = open(path, O_RDONLY | O_DIRECTORY);
	if (dir < 0 || mkdirat(dir, "parent", 0700))
		abort();
	atexit(clean);
}

static void ask(const struct pagemap *pm)
{
	for (size_t i = 0; i < pm->nr; i++) {
		uint64_t at = pm->runs[i].start, end = at + pm->runs[i].nr_pages * PAGE_SIZE;
		struct page_extent ext;

		for (unsigned n = 0; at < end && n < 100; n++, at += ext.nr_pages * PAGE_SIZE) {
			struct stat st;

			pagemap_extent(pm, at, end, &ext);
			if (ext.start != at || !ext.nr_pages ||
			    ext.nr_pages > (end - at) / PAGE_SIZE)
				abort();
			if (ext.where != PAGES_FILE)
				continue;
			if (fstat(ext.fd, &st) ||
			    ext.off + ext.nr_pages * PAGE_SIZE > (uint64_t)st.st_size)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pagemap *pm;
	size_t cut;

	log_level = LOG_SILENT;
	if (dir < 0)
		set_up();
	if (size < 2)
		return 0;
	cut = 2 + (size - 2) * data[1] / 255;
	put("pagemap-1.img", data + 2, cut - 2);
	put("parent/pagemap-1.img", data + cut, size - cut);
	put_pages("pages-1.img", data[0] & 15);
	put_pages("parent/pages-1.img", data[0] >> 4);
	pm = pagemap_open(dir, IMG_PAGEMAP, 1);
	if (pm)
		ask(pm);
	pagemap_close(pm);
	return 0;
}
