/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finding the pages of a range that hold something: PAGEMAP_SCAN (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst),
 * or /proc/PID/pagemap read in large pieces on older kernels.
 */
#ifndef CRIU_MEM_SCAN_H
#define CRIU_MEM_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scan_region {
	uint64_t start, end; /* bytes */
	uint64_t categories; /* PM_* */
};

/* categories of PAGEMAP_SCAN */
enum {
	PM_WPALLOWED = 1,
	PM_WRITTEN = 2,
	PM_FILE = 4,
	PM_PRESENT = 8,
	PM_SWAPPED = 16,
	PM_PFNZERO = 32,
	PM_HUGE = 64,
	PM_SOFT_DIRTY = 128,
	PM_GUARD = 256,
};

typedef int (*scan_fn)(const struct scan_region *r, void *arg);
/*
 * Calls CB for each run of private pages with contents (present or swapped, not of the file, not the zero page) between
 * START and END, in order. Those in huge pages (PM_HUGE) are runs of their own where the kernel tells. ANONYMOUS: the area maps no file, which makes it cheaper. PAGEMAP_FD: /proc/PID/pagemap. 0, CB's first other result, or -1 logged.
 */
int scan_private_pages(int pagemap_fd, uint64_t start, uint64_t end, bool anonymous, scan_fn cb,
		       void *arg);

/*
 * The same, telling pages apart that were written since they were last protected: these have PM_WRITTEN in their categories. PROTECT: what is
 * found is write-protected in the same moment, so that no write is missed between two scans. The range lies in one area, registered
 * for asynchronous write protection (scan_is_tracked), else -1; without PAGEMAP_SCAN the soft-dirty bits are read, and PROTECT is
 * the caller's to do for the whole task (/proc/PID/clear_refs).
 */
int scan_tracked_pages(int pagemap_fd, uint64_t start, uint64_t end, bool protect, scan_fn cb,
		       void *arg);
/* Calls CB for each guard region (MADV_GUARD_INSTALL) between START and END; for none where the kernel does not tell. */
int scan_guards(int pagemap_fd, uint64_t start, uint64_t end, scan_fn cb, void *arg);
/* Is the area at ADDR registered for asynchronous write protection, by whomever? False also where the kernel does not have it. */
bool scan_is_tracked(int pagemap_fd, uint64_t addr);

#endif
