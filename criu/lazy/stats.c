// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lazy/lazyd.h"
#include "util/io.h"
#include "util/xmalloc.h"

void stats_latency(struct lazy_stats *st, uint64_t ns)
{
	if (!st->latency_ns)
		st->latency_ns = calloc(MAX_LATENCIES, sizeof(*st->latency_ns));
	if (st->latency_ns)
		st->latency_ns[st->nr_latencies++ % MAX_LATENCIES] = min(ns, (uint64_t)UINT32_MAX);
}

static int cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* --display-stats: on stdout, as dump and restore do */
void stats_print(const struct lazyd *d)
{
	const struct lazy_stats *st = &d->st;
	uint64_t nr = min(st->nr_latencies, (uint64_t)MAX_LATENCIES);
	double s = (now_ns() - (st->finished_ns ?: st->start_ns)) / 1e9;

	printf("Displaying lazy-pages stats:\n");
	printf("Page faults: %" PRIu64 " (0x%" PRIx64 ")\n", st->faults, st->faults);
	printf("Faults answered with zeros: %" PRIu64 "\n", st->zero_faults);
	printf("Faults on pages under way: %" PRIu64 "\n", st->known_faults + st->underway_faults);
	printf("Pages brought by faults: %" PRIu64 "\n", st->pages[BY_FAULT]);
	printf("Pages brought in the background: %" PRIu64 "\n", st->pages[BY_PUSH]);
	printf("Pages of zeros: %" PRIu64 "\n", st->zero_pages);
	printf("Pages that came twice: %" PRIu64 "\n", st->twice);
	printf("Pages discarded by the tasks: %" PRIu64 "\n", st->gone);
	printf("Bytes: %" PRIu64 "\n", st->bytes);
	printf("Time: %.3f s, %.1f MiB/s\n", s, s > 0 ? st->bytes / s / (1 << 20) : 0.0);
	if (nr) {
		qsort(st->latency_ns, nr, sizeof(*st->latency_ns), cmp);
		printf("Fault latency: p50 %.1f us, p99 %.1f us, max %.1f us\n",
		       st->latency_ns[nr / 2] / 1e3, st->latency_ns[nr * 99 / 100] / 1e3,
		       st->latency_ns[nr - 1] / 1e3);
	}
	fflush(stdout);
}
