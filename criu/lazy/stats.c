// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "lazy/lazyd.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define FIRST_WIDTH_NS 1000000

int stats_init(struct lazy_stats *st)
{
	/* address space only: what is not drawn costs no memory */
	struct history *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (h == MAP_FAILED) {
		pr_perror("Can't make the statistics");
		return -1;
	}
	h->recorded = opts.report;
	h->width_ns = FIRST_WIDTH_NS;
	*st = h->st = (struct lazy_stats){ .start_ns = now_ns(), .history = h };
	return 0;
}

void stats_hear_again(struct lazyd *d)
{
	d->st.history->nr_tasks = 0;
	d->st.history->total_pages = 0;
}

void stats_take_over(struct lazyd *d)
{
	struct history *h = d->st.history;

	if (h->nr_workers < NR_WORKERS)
		h->worker_ns[h->nr_workers] = now_ns();
	if (!h->nr_workers++)
		return;
	d->st = h->st;
	stats_hear_again(d);
}

void stats_show(struct lazyd *d)
{
	struct history *h = d->st.history;

	h->st = d->st;
	h->nr_left = d->nr_left;
}

/* ---- latencies ---- */

static unsigned latency_index(uint64_t ns)
{
	unsigned e;

	if (ns < 64)
		return ns;
	e = 63 - __builtin_clzll(ns);
	return min((e - 5) * 32 + (unsigned)(ns >> (e - 5)), NR_LATENCIES - 1U);
}

uint64_t stats_latency_of(unsigned i)
{
	return i < 64 ? i : (32ULL + i % 32) << (i / 32 - 1);
}

void stats_latency(struct lazy_stats *st, uint64_t ns)
{
	struct history *h = st->history;

	h->latencies[latency_index(ns)]++;
	h->nr_latencies++;
	h->max_latency_ns = max(h->max_latency_ns, ns);
}

uint64_t stats_percentile(const struct history *h, unsigned per_mille)
{
	uint64_t seen = 0, want = h->nr_latencies * per_mille / 1000;

	for (unsigned i = 0; i < NR_LATENCIES; i++) {
		seen += h->latencies[i];
		if (seen > want) /* the middle of the step */
			return min((stats_latency_of(i) + stats_latency_of(i + 1)) / 2,
				   h->max_latency_ns);
	}
	return h->max_latency_ns;
}

/* ---- for the report ---- */

static struct drawing *drawing_of(struct history *h, uint64_t id)
{
	for (unsigned i = 0; i < h->nr_drawn; i++)
		if (h->drawn[i].id == id)
			return &h->drawn[i];
	return NULL;
}

void stats_task(struct lazyd *d, struct object *obj, uint64_t nr_pages)
{
	struct history *h = d->st.history;
	struct drawing *dr;
	uint64_t left;

	h->nr_tasks++;
	h->total_pages += nr_pages;
	h->zero_ns = h->zero_ns ?: now_ns();
	obj->drawing = drawing_of(h, obj->id);
	if (!h->recorded || obj->drawing || h->nr_drawn == NR_DRAWN || !obj->nr_pages)
		return;
	dr = &h->drawn[h->nr_drawn];
	dr->id = obj->id;
	dr->nr_pages = obj->nr_pages;
	dr->per_cell = (obj->nr_pages + NR_CELLS - 1) / NR_CELLS;
	dr->nr_cells = (obj->nr_pages + dr->per_cell - 1) / dr->per_cell;
	for (unsigned i = 0; i < dr->nr_cells; i++)
		dr->cells[i].addr = object_src(obj, i * dr->per_cell, &left);
	obj->drawing = dr;
	h->nr_drawn++;
}

/* The interval of this moment. Where the time is longer than all of them they become twice as long. */
static struct interval *interval_now(struct history *h, uint64_t since_ns)
{
	while (since_ns / h->width_ns >= NR_INTERVALS) {
		for (unsigned i = 0; i < NR_INTERVALS; i++) {
			struct interval in = h->intervals[i], *to = &h->intervals[i / 2];

			h->intervals[i] = (struct interval){};
			for (unsigned k = 0; k < NR_ARRIVALS; k++)
				to->pages[k] += in.pages[k];
			to->faults += in.faults;
		}
		h->width_ns *= 2;
	}
	return &h->intervals[since_ns / h->width_ns];
}

static void record_arrival(struct history *h, const struct object *obj, uint64_t page, uint64_t nr,
			   const uint64_t by[NR_ARRIVALS])
{
	uint64_t since_ns = now_ns() - h->zero_ns;
	struct interval *in = interval_now(h, since_ns);
	struct drawing *dr = obj->drawing;

	for (unsigned k = 0; k < NR_ARRIVALS; k++)
		in->pages[k] += by[k];
	while (dr && nr) {
		struct cell *c = &dr->cells[page / dr->per_cell];
		uint64_t here = min(nr, dr->per_cell - page % dr->per_cell);

		c->arrived += here;
		c->sum_us += here * (since_ns / 1000);
		page += here;
		nr -= here;
	}
}

uint64_t stats_brought(const struct lazy_stats *st)
{
	return st->pages[BY_FAULT] + st->pages[BY_PREFETCH] + st->pages[BY_PUSH];
}

void stats_arrived(struct lazyd *d, const struct object *obj, uint64_t page, uint64_t nr,
		   uint64_t new, enum arrival why)
{
	uint64_t by[NR_ARRIVALS] = {};

	if (!new)
		return;
	by[why] = new;
	if (why == BY_FAULT) { /* the first one was wanted */
		by[BY_FAULT] = 1;
		by[BY_PREFETCH] = new - 1;
	}
	for (unsigned k = 0; k < NR_ARRIVALS; k++)
		d->st.pages[k] += by[k];
	if (d->st.history->recorded)
		record_arrival(d->st.history, obj, page, nr, by);
}

void stats_fault(struct lazyd *d, const struct object *obj, uint64_t page)
{
	struct history *h = d->st.history;

	if (!h->recorded)
		return;
	interval_now(h, now_ns() - h->zero_ns)->faults++;
	if (obj->drawing)
		obj->drawing->cells[page / obj->drawing->per_cell].faults++;
}

/* ---- --display-stats: on stdout, as dump and restore do ---- */

static void print_count(const char *what, uint64_t n)
{
	printf("%s: %" PRIu64 "\n", what, n);
}

void stats_print(const struct lazyd *d)
{
	const struct lazy_stats *st = &d->st;
	const struct history *h = st->history;
	double s = (now_ns() - (st->finished_ns ?: st->start_ns)) / 1e9;

	printf("Displaying lazy-pages stats:\n");
	printf("Page faults: %" PRIu64 " (0x%" PRIx64 ")\n", st->faults, st->faults);
	print_count("Faults answered with zeros", st->zero_faults);
	print_count("Faults on pages under way", st->known_faults + st->underway_faults);
	print_count("Pages brought by faults", st->pages[BY_FAULT]);
	print_count("Pages brought beside them", st->pages[BY_PREFETCH]);
	print_count("Pages brought in the background", st->pages[BY_PUSH]);
	print_count("Pages of zeros", st->zero_pages);
	print_count("Pages that came twice or too late", st->twice);
	print_count("Pages discarded by the tasks", st->gone);
	print_count("Bytes", st->bytes);
	if (opts.compress)
		print_count("Bytes saved by compression", st->saved);
	printf("Time: %.3f s, %.1f MiB/s\n", s, s > 0 ? st->bytes / s / (1 << 20) : 0.0);
	if (h->nr_latencies)
		printf("Fault latency: p50 %.1f us, p99 %.1f us, max %.1f us\n",
		       stats_percentile(h, 500) / 1e3, stats_percentile(h, 990) / 1e3,
		       h->max_latency_ns / 1e3);
	fflush(stdout);
}
