// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "util/io.h"
#include "util/kernel.h"
#include "util/log.h"

/* linux/fs.h of 6.7; the headers may be older */
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

#define NR_REGIONS	   8192
#define CONTENTS	   (PM_PRESENT | PM_SWAPPED)

/* flags */
enum { SCAN_WP_MATCHING = 1, SCAN_CHECK_WPASYNC = 2 };

/* Guard regions are told of; before Linux 6.16 they look like pages in swap. */
static uint64_t guard_category(void)
{
	return kernel_has(K_PAGEMAP_GUARD) ? PM_GUARD : 0;
}

/*
 * ANYOF: what the pages are, at least one of it. NOT: what the pages must not be, of the file's own and the zero page. To know of the first the kernel looks at each page's
 * struct page, five times the cost: only asked where there can be such pages.
 */
static int scan_by_ioctl(int fd, uint64_t start, uint64_t end, uint64_t flags, uint64_t anyof,
			 uint64_t not, uint64_t tell, scan_fn cb, void *arg)
{
	static struct scan_region vec[NR_REGIONS];
	struct scan_arg a = {
		.size = sizeof(a),
		.flags = flags,
		.end = end,
		.vec = (uint64_t)vec,
		.vec_len = NR_REGIONS,
		.category_inverted = not,
		.category_mask = not,
		.category_anyof_mask = anyof,
		.return_mask = anyof | PM_HUGE | tell,
	};
	uint64_t done = start;

	for (a.start = start; a.start < end; a.start = a.walk_end) {
		long nr = ioctl(fd, PAGEMAP_SCAN_IOCTL, &a);

		if (nr < 0)
			return -1;
		for (long i = 0; i < nr; i++) {
			struct scan_region r = vec[i];
			int ret;

			/*
			 * Where the kernel's own buffer is full it may report the last region further than
			 * walk_end, and its end once more with the next call (seen on 6.18). What was said first
			 * is right: the second time the page may be protected already.
			 */
			r.start = max(r.start, done);
			if (r.start >= r.end)
				continue;
			done = r.end;
			ret = cb(&r, arg);
			if (ret)
				return ret;
		}
		if (a.walk_end <= a.start)
			break;
	}
	return 0;
}

#define PME_PRESENT    (1ULL << 63)
#define PME_SWAP       (1ULL << 62)
#define PME_FILE       (1ULL << 61)
#define PME_SOFT_DIRTY (1ULL << 55)
#define PME_PFN	       ((1ULL << 55) - 1)

/*
 * The frame of the zero page: unknown to us without a look at a zero page of our own. Entries
 * read without CAP_SYS_ADMIN have no frame: then zero pages are saved like others, which is right, only larger.
 */
static uint64_t zero_pfn(void)
{
	static uint64_t pfn;
	static int known;

	if (!known) {
		static char page[2 * PAGE_SIZE] __attribute__((aligned(4096)));
		cleanup_close int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		volatile char touch = page[PAGE_SIZE]; /* .bss: read only, so the zero page */
		uint64_t e = 0;

		(void)touch;
		if (fd >= 0 &&
		    pread_full(fd, &e, 8, (uint64_t)(page + PAGE_SIZE) / PAGE_SIZE * 8) == 8 &&
		    (e & PME_PRESENT))
			pfn = e & PME_PFN;
		known = 1;
	}
	return pfn;
}

static int scan_by_reading(int fd, uint64_t start, uint64_t end, scan_fn cb, void *arg)
{
	static uint64_t buf[65536];
	struct scan_region r = { 0 };
	uint64_t zero = zero_pfn();
	int ret;

	for (uint64_t at = start; at < end;) {
		size_t want = min((end - at) / PAGE_SIZE, (uint64_t)ARRAY_SIZE(buf));
		ssize_t n = pread_full(fd, buf, want * 8, at / PAGE_SIZE * 8);

		if (n <= 0)
			return n < 0 ? -1 : 0;
		for (ssize_t i = 0; i < n / 8; i++, at += PAGE_SIZE) {
			uint64_t e = buf[i];
			uint64_t what = PM_PRESENT | (e & PME_SOFT_DIRTY ? PM_WRITTEN : 0);

			if (!(e & (PME_PRESENT | PME_SWAP)) ||
			    ((e & PME_PRESENT) && (e & PME_FILE)) ||
			    ((e & PME_PRESENT) && zero && (e & PME_PFN) == zero))
				continue;
			if (r.end == at && r.end > r.start && r.categories == what) {
				r.end += PAGE_SIZE;
				continue;
			}
			if (r.end > r.start && (ret = cb(&r, arg)))
				return ret;
			r = (struct scan_region){ at, at + PAGE_SIZE, what };
		}
	}
	return r.end > r.start ? cb(&r, arg) : 0;
}

int scan_private_pages(int fd, uint64_t start, uint64_t end, bool anonymous, scan_fn cb, void *arg)
{
	uint64_t not = PM_PFNZERO | (anonymous ? 0 : PM_FILE) | guard_category();
	static int no_ioctl;
	int ret;

	if (!no_ioctl) {
		errno = 0;
		ret = scan_by_ioctl(fd, start, end, 0, CONTENTS, not, 0, cb, arg);
		if (ret >= 0 || (errno != ENOTTY && errno != EINVAL))
			goto out;
		no_ioctl = 1;
	}
	ret = scan_by_reading(fd, start, end, cb, arg);
out:
	if (ret < 0)
		pr_perror("Can't scan the pages at %#lx-%#lx", start, end);
	return ret;
}

int scan_tracked_pages(int fd, uint64_t start, uint64_t end, bool protect, scan_fn cb, void *arg)
{
	uint64_t flags = SCAN_CHECK_WPASYNC | (protect ? SCAN_WP_MATCHING : 0);
	int ret;

	if (kernel_has(K_UFFD_WP_ASYNC) && kernel_has(K_PAGEMAP_SCAN))
		ret = scan_by_ioctl(fd, start, end, flags, CONTENTS, PM_PFNZERO | guard_category(),
				    PM_WRITTEN, cb, arg);
	else
		ret = scan_by_reading(fd, start, end, cb, arg);
	if (ret < 0)
		pr_perror("Can't scan the pages at %#lx-%#lx for what was written", start, end);
	return ret;
}

int scan_guards(int fd, uint64_t start, uint64_t end, scan_fn cb, void *arg)
{
	int ret;

	if (!guard_category())
		return 0;
	ret = scan_by_ioctl(fd, start, end, 0, PM_GUARD, 0, 0, cb, arg);
	if (ret < 0)
		pr_perror("Can't scan %#lx-%#lx for guard regions", start, end);
	return ret;
}

bool scan_is_tracked(int fd, uint64_t addr)
{
	struct scan_region r;
	struct scan_arg a = {
		.size = sizeof(a),
		.start = addr,
		.end = addr + PAGE_SIZE,
		.vec = (uint64_t)&r,
		.vec_len = 1,
		.category_mask = PM_WPALLOWED,
		.return_mask = PM_WPALLOWED,
	};

	return ioctl(fd, PAGEMAP_SCAN_IOCTL, &a) == 1;
}
