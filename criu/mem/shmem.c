// SPDX-License-Identifier: GPL-2.0-only
#include "mem/shmem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mem/sink.h"
#include "mem/source.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define PAGE  4096L
#define CHUNK (64UL << 20) /* mapped at a time */

/* How large the pages of a hugetlb object are; 0: it is none. */
static uint64_t huge_page(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) || fs.f_type != HUGETLBFS_MAGIC ? 0 : fs.f_bsize;
}

static void *map_part(int fd, int prot, uint64_t off, uint64_t len)
{
	void *p = mmap(NULL, len, prot, MAP_SHARED | MAP_POPULATE, fd, off);

	if (p == MAP_FAILED)
		pr_perror("Can't map %lu bytes of shared memory", len);
	return p;
}

static int dump_extent(struct page_sink *s, int fd, uint64_t start, uint64_t end)
{
	if (sink_run(s, start, (end - start) / PAGE, PE_PRESENT))
		return -1;
	while (start < end) {
		uint64_t len = min(end - start, CHUNK);
		void *p = map_part(fd, PROT_READ, start, len);
		int ret;

		if (p == MAP_FAILED)
			return -1;
		ret = sink_write(s, p, len);
		munmap(p, len);
		if (ret)
			return -1;
		start += len;
	}
	return 0;
}

static int dump_extents(struct page_sink *s, int fd, uint64_t size)
{
	off_t start = 0, end = 0;

	while ((uint64_t)start < size && (start = lseek(fd, end, SEEK_DATA)) >= 0) {
		end = lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			break;
		end = round_up(end, PAGE);
		if (dump_extent(s, fd, start, end))
			return -1;
	}
	if (start < 0 && errno != ENXIO) {
		pr_perror("Can't find the pages of a shared memory object");
		return -1;
	}
	return 0;
}

/*
 * Of such an object the kernel does not tell what is a hole, and mapping one would fill it. Reading does not: what is all zeros counts as one.
 */
static int dump_huge(struct page_sink *s, int fd, uint64_t size, uint64_t huge)
{
	cleanup_free char *buf = xmalloc(huge);

	if (!buf)
		return -1;
	for (uint64_t at = 0; at < size; at += huge) {
		bool zeros = true;

		if (pread_full(fd, buf, huge, at) != (ssize_t)huge) {
			pr_perror("Can't read a huge page of a shared memory object");
			return -1;
		}
		for (uint64_t i = 0; i < huge && zeros; i += PAGE)
			zeros = page_is_zero(buf + i);
		if (!zeros &&
		    (sink_run(s, at, huge / PAGE, PE_PRESENT) || sink_write(s, buf, huge)))
			return -1;
	}
	return 0;
}

int shmem_dump(int images, int fd, uint64_t size, uint32_t shmid)
{
	uint64_t huge = huge_page(fd);
	struct page_sink s;
	int ret;

	if (sink_open(&s, images, IMG_SHMEM_PAGEMAP, shmid))
		return -1;
	ret = huge ? dump_huge(&s, fd, size, huge) : dump_extents(&s, fd, size);
	return sink_close(&s) || ret ? -1 : 0;
}

static int restore_extent(int fd, const struct page_extent *ext)
{
	uint64_t left = ext->nr_pages * PAGE, to = ext->start, from = ext->off;
	uint64_t chunk = max(CHUNK, huge_page(fd));

	while (left) {
		uint64_t len = min(left, chunk);
		void *p = map_part(fd, PROT_READ | PROT_WRITE, to, len);
		ssize_t n;

		if (p == MAP_FAILED)
			return -1;
		n = pread_full(ext->fd, p, len, from);
		munmap(p, len);
		if (n != (ssize_t)len) {
			pr_err("Can't read %lu bytes of shared memory from the pages file: %s", len,
			       n < 0 ? strerror(errno) : "it is too short");
			return -1;
		}
		left -= len;
		to += len;
		from += len;
	}
	return 0;
}

int shmem_restore(int images, int fd, uint64_t size, uint32_t shmid)
{
	struct pagemap *pm = pagemap_open(images, IMG_SHMEM_PAGEMAP, shmid);
	uint64_t at = 0, end = round_up(size, PAGE);
	int ret = 0;

	if (!pm)
		return errno == ENOENT ? 0 : -1;
	while (at < end && !ret) {
		struct page_extent ext;

		pagemap_extent(pm, at, end, &ext);
		if (ext.where == PAGES_FILE) {
			ret = restore_extent(fd, &ext);
		} else if (ext.where == PAGES_REMOTE) {
			pr_err("pagemap-shmem-%u.img: pages at %lx are not in the images", shmid,
			       at);
			ret = -1;
		}
		at = ext.start + ext.nr_pages * PAGE;
	}
	pagemap_close(pm);
	return ret;
}

int shmem_anonymous(uint64_t size, uint32_t hugetlb_flags)
{
	uint64_t len = round_up(size ?: 1, PAGE);
	char path[64];
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | hugetlb_flags, -1, 0);
	int fd, saved;

	if (p == MAP_FAILED)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)p,
		 (unsigned long)p + len);
	fd = open(path, O_RDWR | O_CLOEXEC);
	saved = errno;
	munmap(p, len);
	errno = saved;
	return fd;
}
