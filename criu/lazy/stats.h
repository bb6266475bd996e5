/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lazy-pages counts of a migration. The counters are the worker's own (lazyd.st); a copy of them, the latencies and what --report draws lie in
 * memory that all processes of the daemon share, so that a worker that follows a dead one goes on counting, and whoever is left at the end can tell.
 *
 * Everything has a fixed size: the time is cut into intervals that become longer, an object into cells that are as large as they must be.
 */
#ifndef CRIU_LAZY_STATS_H
#define CRIU_LAZY_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lazyd;
struct object;

/* Why a page came. */
enum arrival {
	BY_FAULT,
	BY_PREFETCH, /* beside a page that was faulted on */
	BY_PUSH,
	NR_ARRIVALS
};

struct history;
struct lazy_stats {
	uint64_t start_ns, finished_ns, end_ns; /* restore handed over; nothing is missing */
	uint64_t faults, zero_faults, known_faults,
		underway_faults; /* all; answered with zeros at once; asked for already; pushed already, says the server */
	uint64_t pages[NR_ARRIVALS];
	uint64_t zero_pages; /* of those, how many came as zeros */
	uint64_t twice;	     /* pages that came but were there already, or had been thrown away */
	uint64_t bytes;	     /* of pages that were received, or read from images */
	uint64_t saved;	     /* of these, what compression kept off the wire */
	uint64_t gone;	     /* pages that the tasks threw away before they came */
	struct history *history;
};

/* Latencies, 32 steps for each power of two: right to 2 %. */
#define NR_LATENCIES 1056

#define NR_INTERVALS 256
struct interval {
	uint32_t pages[NR_ARRIVALS], faults;
};

#define NR_WORKERS 8U
#define NR_CELLS   1024
#define NR_DRAWN   64 /* objects that are drawn */
struct cell {
	uint64_t addr; /* source address of its first page */
	uint32_t arrived, faults;
	uint64_t sum_us; /* of the times at which its pages arrived */
};
struct drawing {
	uint64_t id, nr_pages, per_cell;
	unsigned nr_cells;
	struct cell cells[NR_CELLS];
};

struct history {
	struct lazy_stats st; /* as of the worker's last round */
	uint64_t nr_left, total_pages;
	unsigned nr_tasks, nr_workers;
	uint64_t worker_ns[NR_WORKERS]; /* when the first ones began */
	bool shown;			/* a progress line is on the terminal */
	bool recorded;			/* for --report: what follows the latencies */
	uint64_t max_latency_ns, nr_latencies;
	uint32_t latencies[NR_LATENCIES];
	uint64_t zero_ns;  /* when the first task came: times count from here */
	uint64_t width_ns; /* of an interval */
	struct interval intervals[NR_INTERVALS];
	unsigned nr_drawn;
	struct drawing drawn[NR_DRAWN];
};

/* -1: logged */
int stats_init(struct lazy_stats *st);
/* A worker begins: it goes on from what the last one had counted. */
void stats_take_over(struct lazyd *d);
/* Whoever reads the journal hears of all tasks and forks again: they are counted anew. */
void stats_hear_again(struct lazyd *d);
/* A task came, and OBJ is what it is filled from. */
void stats_task(struct lazyd *d, struct object *obj, uint64_t nr_pages);
/* After each round of the loop: what others see. */
void stats_show(struct lazyd *d);
/* NR pages from PAGE of OBJ are in place, NEW of them were not before. */
void stats_arrived(struct lazyd *d, const struct object *obj, uint64_t page, uint64_t nr,
		   uint64_t new, enum arrival why);
/* Pages that have come, whatever the reason. */
uint64_t stats_brought(const struct lazy_stats *st);
void stats_fault(struct lazyd *d, const struct object *obj, uint64_t page);
/* From the message to the page. */
void stats_latency(struct lazy_stats *st, uint64_t ns);
/* The latency that PER_MILLE of the faults do not exceed, in ns. */
uint64_t stats_percentile(const struct history *h, unsigned per_mille);
/* The smallest latency that is counted in latencies[I]; of I = NR_LATENCIES the end of the last. */
uint64_t stats_latency_of(unsigned i);
/* --display-stats */
void stats_print(const struct lazyd *d);

#endif
