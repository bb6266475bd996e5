/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finding the pages of a range that hold something: PAGEMAP_SCAN (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst),
 * or /proc/PID/pagemap read in large pieces on older kernels.
 */
#ifndef CRIU_MEM_SCAN_H
#define CRIU_MEM_SCAN_H

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
 * START and END, in order. PAGEMAP_FD: /proc/PID/pagemap. 0, CB's first other result, or -1 logged.
 */
int scan_private_pages(int pagemap_fd, uint64_t start, uint64_t end, scan_fn cb, void *arg);

#endif
