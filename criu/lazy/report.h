/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lazy-pages --report FILE.html: one page that needs nothing else, with a picture of the migration. report.c: the page and its table; report_svg.c: the
 * figures. Called by lazy-pages at its end, and when it gives up.
 */
#ifndef CRIU_LAZY_REPORT_H
#define CRIU_LAZY_REPORT_H

#include <stdint.h>
#include <stdio.h>

struct history;

enum report_end { REPORT_COMPLETE, REPORT_GIVEN_UP, REPORT_FAILED };

/* At the beginning: is there a place for the file? It is found again when the directory has changed. -1 logged; 0 also where there is to be none. */
int report_init(void);
/* Writes the file anew; where it fails that is logged, and no more. */
void report_write(const struct history *h, enum report_end end);

/* ---- report_svg.c ---- */
struct span {
	double from, to; /* seconds since zero_ns: what the picture shows */
};
void svg_arrivals(FILE *f, const struct history *h, const struct span *span);
void svg_latencies(FILE *f, const struct history *h);
/* One figure for each object. */
void svg_maps(FILE *f, const struct history *h, const struct span *span);

#endif
