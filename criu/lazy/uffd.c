// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/uffd.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "mem/huge.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define WANTED_EVENTS                                                                     \
	(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | \
	 UFFD_FEATURE_EVENT_UNMAP)

bool uffd_is_one(int fd)
{
	char path[32], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	return !strcmp(target, "anon_inode:[userfaultfd]");
}

int uffd_api(int uffd, bool want_shmem)
{
	struct uffdio_api api = { .api = UFFD_API, .features = WANTED_EVENTS };

	if (want_shmem)
		api.features |= UFFD_FEATURE_MISSING_SHMEM;
	if (ioctl(uffd, UFFDIO_API, &api)) {
		pr_perror("userfaultfd: this kernel does not tell of fork, mremap, madvise and "
			  "munmap");
		return -1;
	}
	if (set_nonblock(uffd, true)) { /* without it poll() only says POLLERR */
		pr_perror("userfaultfd: can't make it nonblocking");
		return -1;
	}
	return 0;
}

int uffd_register(int uffd, uint64_t start, uint64_t len)
{
	struct uffdio_register r = { .range = { start, len },
				     .mode = UFFDIO_REGISTER_MODE_MISSING };

	if (ioctl(uffd, UFFDIO_REGISTER, &r)) {
		pr_perror("userfaultfd: can't register 0x%" PRIx64 "-0x%" PRIx64, start,
			  start + len);
		return -1;
	}
	return 0;
}

void uffd_wake(int uffd, uint64_t start, uint64_t len)
{
	struct uffdio_range r = { start, len };

	ioctl(uffd, UFFDIO_WAKE, &r); /* fails where the range is gone: then nobody waits */
}

/* A copy from nowhere changes nothing, and how it fails tells. The errno. */
static int try_copy(int uffd, uint64_t addr)
{
	struct uffdio_copy c = { .dst = addr, .src = 0, .len = PAGE_SIZE };

	return ioctl(uffd, UFFDIO_COPY, &c) ? errno : 0;
}

bool uffd_space_lives(int uffd)
{
	/* to where hardly anything is */
	return try_copy(uffd, 0x10000) != ESRCH;
}

bool uffd_is_changing(int uffd)
{
	return try_copy(uffd, 0x10000) == EAGAIN;
}

bool uffd_is_registered(int uffd, uint64_t addr)
{
	int err = try_copy(uffd, addr);

	return err == EFAULT || err == EEXIST;
}

/* Copies or zeroes; the result in pages, or a negative errno. A part of it may have been done. */
static int64_t fill_once(int uffd, uint64_t dst, const void *data, uint64_t nr)
{
	struct uffdio_copy c = { .dst = dst, .src = (uintptr_t)data, .len = nr * PAGE_SIZE };
	struct uffdio_zeropage z = { .range = { dst, nr * PAGE_SIZE } };
	int64_t done;

	if (data ? !ioctl(uffd, UFFDIO_COPY, &c) : !ioctl(uffd, UFFDIO_ZEROPAGE, &z))
		return nr;
	done = data ? c.copy : z.zeropage;
	return done > 0 ? done / (int64_t)PAGE_SIZE : -errno;
}

enum uffd_result uffd_fill(int uffd, uint64_t dst, const void *data, uint64_t nr_pages,
			   uint64_t *done)
{
	uint64_t span = nr_pages;
	bool sure = false;

	*done = 0;
	while (*done < nr_pages) {
		uint64_t at = dst + *done * PAGE_SIZE, nr = min(span, nr_pages - *done);
		int64_t ret = fill_once(uffd, at, data ? data + *done * PAGE_SIZE : NULL, nr);

		if (ret > 0) {
			*done += ret;
			span = nr_pages;
			sure = false;
			continue;
		}
		switch (-ret) {
		case EINTR:
			continue;
		case EAGAIN:
			return UFFD_AGAIN;
		case EEXIST:
			uffd_wake(uffd, at, PAGE_SIZE);
			*done += 1;
			continue;
		case ENOENT:
		case EINVAL:
			/* One call must stay inside one VMA, and the task may have split or unmapped it. */
			if (nr > 1) {
				span = nr / 2;
				continue;
			}
			/*
			 * A call that began just before an mremap waits for it inside of the kernel, and then finds nothing at the old address.
			 * Only a call that begins afterwards is told EAGAIN: the page is not gone, it has moved.
			 */
			if (sure)
				*done += 1;
			sure = !sure;
			continue;
		case ESRCH:
		case ENOSPC: /* what kernels before 4.13 say instead */
			return UFFD_GONE;
		default:
			errno = -ret;
			pr_perror("userfaultfd: can't fill %" PRIu64 " pages at 0x%" PRIx64, nr,
				  at);
			return UFFD_FAILED;
		}
	}
	return UFFD_OK;
}

enum uffd_result uffd_fill_huge(int uffd, uint64_t dst, const void *data, uint64_t len)
{
	struct uffdio_copy c = { .dst = dst, .src = (uintptr_t)data, .len = len };
	bool sure = false;

	while (ioctl(uffd, UFFDIO_COPY, &c)) {
		switch (errno) {
		case EINTR:
			continue;
		case EAGAIN:
			return UFFD_AGAIN;
		case EEXIST:
			uffd_wake(uffd, dst, len);
			return UFFD_OK;
		case ENOENT:
		case EINVAL: /* as in uffd_fill() */
			if (sure)
				return UFFD_OK;
			sure = true;
			continue;
		case ESRCH:
			return UFFD_GONE;
		case ENOMEM:
			pr_err("There is no free huge page of %" PRIu64
			       " KiB for the memory at 0x%" PRIx64 ": make more (vm.nr_hugepages)",
			       len >> 10, dst);
			return UFFD_FAILED;
		default:
			pr_perror("userfaultfd: can't fill the huge page at 0x%" PRIx64, dst);
			return UFFD_FAILED;
		}
	}
	return UFFD_OK;
}

enum uffd_result uffd_zero(int uffd, uint64_t dst)
{
	struct uffdio_zeropage z = { .range = { dst, PAGE_SIZE } };
	static void *zeros;
	uint64_t done;

	/* EINVAL: hugetlb, which does not know it */
	if (!ioctl(uffd, UFFDIO_ZEROPAGE, &z))
		return UFFD_OK;
	if (errno != EINVAL)
		return uffd_fill(uffd, dst, NULL, 1, &done);
	if (!zeros) /* never written, so it takes no memory */
		zeros = mmap(NULL, HUGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (zeros == MAP_FAILED) {
		zeros = NULL;
		pr_perror("Can't map a page of zeros");
		return UFFD_FAILED;
	}
	return uffd_fill_huge(uffd, round_down(dst, HUGE_SIZE), zeros, HUGE_SIZE);
}
