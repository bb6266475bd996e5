// SPDX-License-Identifier: GPL-2.0-only
/* The figures of the report. Everything is drawn to a width of 960 and scaled by the browser; colours are classes, so that they follow its light or dark. */
#include <inttypes.h>
#include <math.h>

#include "lazy/report.h"
#include "lazy/stats.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define WIDTH 960
/* the plot, between the labels of the y axis and the edge */
#define LEFT  64.0
#define RIGHT 944.0
#define SPAN  (RIGHT - LEFT)

static const char *const kinds[NR_ARRIVALS] = { "fault", "prefetch", "push" };

static const char *kind_text(unsigned kind)
{
	static const char *const text[] = { "faulted on", "prefetched beside a fault",
					    "pushed by the server" };

	return kind == BY_PUSH && !opts.page_server ? "brought in the background" : text[kind];
}

static void svg_open(FILE *f, double height, const char *label)
{
	fprintf(f, "<figure><svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"%s\">\n", WIDTH,
		height, label);
}

static void svg_close(FILE *f, const char *caption)
{
	fputs("</svg>", f);
	if (caption)
		fprintf(f, "<figcaption><p>%s</p></figcaption>", caption);
	fputs("</figure>\n", f);
}

static void line(FILE *f, const char *class, double x1, double y1, double x2, double y2)
{
	fprintf(f, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class,
		x1, y1, x2, y2);
}

static void rect(FILE *f, const char *class, double x, double y, double w, double h)
{
	fprintf(f, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
		class, x, y, w, h);
}

/* ---- axes ---- */

/* 1, 2 or 5 times a power of ten, so that some PARTS of it make up MOST. */
static double step_of(double most, int parts)
{
	double raw = most / parts, base = pow(10, floor(log10(raw)));

	return raw <= base	 ? base
	       : raw <= 2 * base ? 2 * base
	       : raw <= 5 * base ? 5 * base
				 : 10 * base;
}

struct plot {
	double top, bottom; /* y of the picture */
	double most;	    /* what is at the top */
	struct span span;   /* what is between the edges */
};

static double x_of(const struct plot *p, double seconds)
{
	double x = (seconds - p->span.from) / (p->span.to - p->span.from);

	return LEFT + min(max(x, 0.0), 1.0) * SPAN;
}

static double y_of(const struct plot *p, double value)
{
	return p->bottom - value / p->most * (p->bottom - p->top);
}

static void y_axis(FILE *f, struct plot *p, double most, const char *unit, int parts)
{
	double step = step_of(max(most, 1.0), parts);

	p->most = ceil(max(most, 1.0) / step) * step;
	for (double v = 0; v <= p->most * 1.001; v += step) {
		line(f, "grid", LEFT, y_of(p, v), RIGHT, y_of(p, v));
		fprintf(f, "<text class=\"e\" x=\"%.1f\" y=\"%.1f\">%.10g</text>\n", LEFT - 6,
			y_of(p, v) + 4, v);
	}
	fprintf(f, "<text class=\"f\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", LEFT, p->top - 8, unit);
}

static void time_axis(FILE *f, const struct plot *p)
{
	double seconds = p->span.to - p->span.from, step = step_of(seconds, 8),
	       unit = seconds < 2 ? 1e-3 : 1;

	for (double s = 0; s <= seconds * 1.001; s += step) {
		double x = x_of(p, p->span.from + s);

		line(f, "grid", x, p->bottom, x, p->bottom + 4);
		fprintf(f, "<text class=\"c\" x=\"%.1f\" y=\"%.1f\">%.6g %s</text>\n", x,
			p->bottom + 18, s / unit, unit == 1 ? "s" : "ms");
	}
}

/* ---- arrivals ---- */

/* The pages of interval I whose kind is KIND or drawn below it. */
static uint64_t stacked(const struct interval *in, int kind)
{
	uint64_t sum = 0;

	for (int k = kind; k < NR_ARRIVALS; k++)
		sum += in->pages[k];
	return sum;
}

/* A band of steps between two heights. */
static void band(FILE *f, const struct plot *p, const struct history *h, int kind)
{
	double width_s = h->width_ns / 1e9, to_mib_s = 1 / 256.0 / width_s;

	fprintf(f, "<path class=\"%s\" d=\"M%.1f,%.1f", kinds[kind], LEFT, p->bottom);
	for (unsigned i = 0; i < NR_INTERVALS; i++)
		fprintf(f, "V%.1fH%.1f", y_of(p, stacked(&h->intervals[i], kind) * to_mib_s),
			x_of(p, (i + 1) * width_s));
	for (unsigned i = NR_INTERVALS; i--;)
		fprintf(f, "V%.1fH%.1f", y_of(p, stacked(&h->intervals[i], kind + 1) * to_mib_s),
			x_of(p, i * width_s));
	fputs("Z\"/>\n", f);
}

static void faults_below(FILE *f, const struct history *h, struct plot p)
{
	double width_s = h->width_ns / 1e9, most = 0;

	for (unsigned i = 0; i < NR_INTERVALS; i++)
		most = max(most, h->intervals[i].faults / width_s);
	y_axis(f, &p, most, "faults/s", 2);
	fprintf(f, "<path class=\"fault\" d=\"M%.1f,%.1f", LEFT, p.bottom);
	for (unsigned i = 0; i < NR_INTERVALS; i++)
		fprintf(f, "V%.1fH%.1f", y_of(&p, h->intervals[i].faults / width_s),
			x_of(&p, (i + 1) * width_s));
	fprintf(f, "V%.1fZ\"/>\n", p.bottom);
	time_axis(f, &p);
}

static void legend(FILE *f, const struct history *h)
{
	double x = LEFT + 90;

	for (int k = NR_ARRIVALS - 1; k >= 0; k--) {
		if (!h->st.pages[k])
			continue;
		rect(f, kinds[k], x, 6, 12, 12);
		fprintf(f, "<text x=\"%.1f\" y=\"16\">%s, %.1f MiB</text>\n", x + 18, kind_text(k),
			h->st.pages[k] / 256.0);
		x += 40 + 9.5 * 26;
	}
}

static void moment(FILE *f, const struct plot *p, double seconds, double bottom, const char *text)
{
	double x = x_of(p, seconds);
	bool left = x > RIGHT - 160;

	line(f, "mark", x, p->top, x, bottom);
	fprintf(f, "<text class=\"f%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", left ? " e" : "",
		x + (left ? -5 : 5), p->top + 12, text);
}

void svg_arrivals(FILE *f, const struct history *h, const struct span *span)
{
	double width_s = h->width_ns / 1e9, most = 0;
	struct plot p = { .top = 46, .bottom = 250, .span = *span };
	struct plot below = { .top = 296, .bottom = 370, .span = *span };

	for (unsigned i = 0; i < NR_INTERVALS; i++)
		most = max(most, stacked(&h->intervals[i], 0) / 256.0 / width_s);
	svg_open(f, 396, "Arrival of pages over time");
	y_axis(f, &p, most, "MiB/s", 5);
	for (int k = 0; k < NR_ARRIVALS; k++)
		band(f, &p, h, k);
	legend(f, h);
	faults_below(f, h, below);
	if (h->st.finished_ns > h->zero_ns)
		moment(f, &p, (h->st.finished_ns - h->zero_ns) / 1e9, below.bottom,
		       "the tasks run");
	for (unsigned i = 1; i < min(h->nr_workers, NR_WORKERS); i++)
		if (h->worker_ns[i] > h->zero_ns)
			moment(f, &p, (h->worker_ns[i] - h->zero_ns) / 1e9, below.bottom,
			       "a new worker");
	svg_close(f, NULL);
}

/* ---- latencies ---- */

/* Four bins for each power of two, all as wide on a logarithmic axis: where they begin among its 32 steps. */
#define NR_BINS (NR_LATENCIES / 32 * 4)
static unsigned bin_begin(unsigned b)
{
	static const unsigned at[] = { 0, 6, 13, 22 };

	return b / 4 * 32 + at[b % 4];
}

static uint64_t in_bin(const struct history *h, unsigned b)
{
	uint64_t n = 0;

	for (unsigned i = bin_begin(b); i < bin_begin(b + 1); i++)
		n += h->latencies[i];
	return n;
}

/* The first and the last bin that have something. */
static void bins(const struct history *h, unsigned *first, unsigned *last, uint64_t *most)
{
	*first = NR_BINS;
	*last = *most = 0;
	for (unsigned b = 0; b < NR_BINS; b++) {
		uint64_t n = in_bin(h, b);

		if (!n)
			continue;
		*first = min(*first, b);
		*last = b;
		*most = max(*most, n);
	}
}

struct log_axis {
	double from, to; /* logarithms */
};

static double log_x(const struct log_axis *a, double ns)
{
	return LEFT + (log(max(ns, 1.0)) - a->from) / (a->to - a->from) * SPAN;
}

static void log_labels(FILE *f, const struct log_axis *a, double bottom)
{
	static const char *const units[] = { "ns", "µs", "ms", "s" };
	bool dense = a->to - a->from < log(2000);
	double ns = 1;

	for (unsigned i = 0; i < 36; i++) {
		unsigned digit = i % 3, decade = i / 3;
		double v = ns * (digit == 0 ? 1 : digit == 1 ? 2 : 5);

		if (digit == 2)
			ns *= 10;
		if (log(v) < a->from - 1e-9 || log(v) > a->to || (digit && !dense) || decade > 11)
			continue;
		line(f, "grid", log_x(a, v), bottom, log_x(a, v), bottom + 4);
		fprintf(f, "<text class=\"c\" x=\"%.1f\" y=\"%.1f\">%.0f %s</text>\n", log_x(a, v),
			bottom + 18, v / pow(1000, decade / 3), units[decade / 3]);
	}
}

static void percentile_mark(FILE *f, const struct log_axis *a, const struct plot *p, double ns,
			    const char *what, unsigned line_nr)
{
	double x = log_x(a, ns), y = p->top - 8 - 15 * line_nr;
	bool left = x > RIGHT - 180;

	line(f, "mark", x, y - 9, x, p->bottom);
	fprintf(f, "<text class=\"f%s\" x=\"%.1f\" y=\"%.1f\">%s %.1f µs</text>\n",
		left ? " e" : "", x + (left ? -5 : 5), y, what, ns / 1e3);
}

void svg_latencies(FILE *f, const struct history *h)
{
	struct plot p = { .top = 56, .bottom = 250 };
	struct log_axis a;
	unsigned first, last;
	uint64_t most;

	bins(h, &first, &last, &most);
	first -= min(first, 2U);
	last = min(last + 2, NR_BINS - 1U);
	a.from = log(max(stats_latency_of(bin_begin(first)), 1UL));
	a.to = log(stats_latency_of(bin_begin(last + 1)));
	svg_open(f, 276, "Histogram of fault latencies");
	y_axis(f, &p, most, "faults", 4);
	for (unsigned b = first; b <= last; b++) {
		double x = log_x(&a, stats_latency_of(bin_begin(b))),
		       to = log_x(&a, stats_latency_of(bin_begin(b + 1))),
		       y = y_of(&p, in_bin(h, b));

		if (in_bin(h, b))
			rect(f, "fault", x + 0.5, y, max(to - x - 1, 1.0), p.bottom - y);
	}
	log_labels(f, &a, p.bottom);
	percentile_mark(f, &a, &p, stats_percentile(h, 500), "median", 1);
	percentile_mark(f, &a, &p, stats_percentile(h, 990), "99 % below", 0);
	svg_close(f, NULL);
}

/* ---- maps ---- */

#define COLUMNS	   64U
#define ROWS	   32U /* in all maps together */
#define CELL_W	   6.5
#define CELL_H	   12.0
#define MAP_LEFT   108.0
#define MAP_RIGHT  536.0 /* the second one */
#define SHADE_W	   18.0
#define NR_SHADES  10
#define NR_FAULTED 5

/* NR cells of DR from FIRST on as one. */
static struct cell sum_cells(const struct drawing *dr, unsigned first, unsigned nr)
{
	struct cell sum = { .addr = dr->cells[first].addr };

	for (unsigned i = first; i < min(first + nr, dr->nr_cells); i++) {
		sum.arrived += dr->cells[i].arrived;
		sum.faults += dr->cells[i].faults;
		sum.sum_us += dr->cells[i].sum_us;
	}
	return sum;
}

static void cell_open(FILE *f, const char *class, int shade, double x, double y)
{
	fprintf(f, "<rect class=\"%s", class);
	if (shade >= 0)
		fprintf(f, "%d", shade);
	fprintf(f, "\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">", x, y, CELL_W - 0.5,
		CELL_H - 1);
}

/* What the colours mean, the same for all maps. */
struct scale {
	struct span span;
	double often; /* faults for each page where there were most */
};

static void draw_cell(FILE *f, const struct cell *c, double pages, const struct scale *sc, double x,
		      double y)
{
	double at = (c->arrived ? c->sum_us / 1e6 / c->arrived : 0) - sc->span.from,
	       often = c->faults / pages / sc->often;
	int shade = at / (sc->span.to - sc->span.from) * NR_SHADES;

	if (c->arrived)
		cell_open(f, "t", min(max(shade, 0), NR_SHADES - 1), MAP_LEFT + x, y);
	else
		cell_open(f, "none", -1, MAP_LEFT + x, y);
	fprintf(f, "<title>0x%" PRIx64 ": ", c->addr);
	if (c->arrived)
		fprintf(f, "after %.3f s", at);
	else
		fputs("did not come", f);
	fputs("</title></rect>", f);
	if (c->faults)
		cell_open(f, "h", min(1 + (int)(often * NR_FAULTED), NR_FAULTED), MAP_RIGHT + x, y);
	else
		cell_open(f, "none", -1, MAP_RIGHT + x, y);
	fprintf(f, "<title>0x%" PRIx64 ": %u faults</title></rect>\n", c->addr, c->faults);
}

static void shade(FILE *f, const char *class, int nr, double x, double y)
{
	char name[16];

	snprintf(name, sizeof(name), nr < 0 ? "%s" : "%s%d", class, nr);
	rect(f, name, x, y, SHADE_W, CELL_H);
}

static void draw_scale(FILE *f, const struct scale *sc, double y)
{
	double seconds = sc->span.to - sc->span.from, x = MAP_LEFT + 54;

	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">at once</text>", MAP_LEFT, y + 10);
	for (int i = 0; i < NR_SHADES; i++, x += SHADE_W)
		shade(f, "t", i, x, y);
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">after %.3g %s</text>", x + 8, y + 10,
		seconds < 2 ? seconds * 1e3 : seconds, seconds < 2 ? "ms" : "s");
	x = MAP_RIGHT + 54;
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">no fault</text>", MAP_RIGHT, y + 10);
	for (int i = 0; i <= NR_FAULTED; i++, x += SHADE_W)
		shade(f, i ? "h" : "none", i ? i : -1, x, y);
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">on %.2g %% of the pages</text>\n", x + 8, y + 10,
		100 * sc->often);
}

static unsigned merged(const struct drawing *dr, unsigned rows)
{
	return (dr->nr_cells + rows * COLUMNS - 1) / (rows * COLUMNS);
}

static void map(FILE *f, const struct drawing *dr, unsigned rows, const struct scale *sc)
{
	unsigned merge = merged(dr, rows), nr = (dr->nr_cells + merge - 1) / merge;
	double pages = (double)dr->per_cell * merge, top = 24;

	rows = (nr + COLUMNS - 1) / COLUMNS;
	svg_open(f, top + rows * CELL_H + 4, "Map of a task's memory");
	fprintf(f,
		"<text class=\"f\" x=\"0\" y=\"14\">task %" PRIu64
		": %.1f MiB, %.6g KiB each cell</text>\n",
		dr->id, dr->nr_pages / 256.0, pages * 4);
	for (unsigned i = 0; i < nr; i++) {
		struct cell c = sum_cells(dr, i * merge, merge);
		double x = i % COLUMNS * CELL_W, y = top + i / COLUMNS * CELL_H;

		if (i % COLUMNS == 0)
			fprintf(f,
				"<text class=\"m e\" x=\"%.1f\" y=\"%.1f\">0x%" PRIx64 "</text>\n",
				MAP_LEFT - 6, y + CELL_H - 2.5, c.addr);
		draw_cell(f, &c, min(pages, (double)(dr->nr_pages - i * pages)), sc, x, y);
	}
	svg_close(f, NULL);
}

static double most_often(const struct drawing *dr, unsigned rows)
{
	unsigned merge = merged(dr, rows);
	double most = 0;

	for (unsigned i = 0; i < dr->nr_cells; i += merge)
		most = max(most, (double)sum_cells(dr, i, merge).faults / (dr->per_cell * merge));
	return most;
}

void svg_maps(FILE *f, const struct history *h, const struct span *span)
{
	unsigned rows = max(min(ROWS / h->nr_drawn, NR_CELLS / COLUMNS), 1U);
	struct scale sc = { .span = *span, .often = 0.001 };

	for (unsigned i = 0; i < h->nr_drawn; i++)
		sc.often = max(sc.often, most_often(&h->drawn[i], rows));
	sc.often = min(sc.often, 1.0);
	svg_open(f, 20, "Scales of the maps");
	draw_scale(f, &sc, 4);
	svg_close(f, NULL);
	for (unsigned i = 0; i < h->nr_drawn; i++)
		map(f, &h->drawn[i], rows, &sc);
	if (h->nr_tasks > h->nr_drawn)
		fprintf(f, "<p>And %u more tasks.</p>\n", h->nr_tasks - h->nr_drawn);
}
