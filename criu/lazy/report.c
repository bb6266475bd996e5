// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lazy/stats.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

static int report_dir = -1;

static const char *file_name(void)
{
	const char *slash = strrchr(opts.report, '/');

	return slash ? slash + 1 : opts.report;
}

int report_init(void)
{
	cleanup_free char *dir = opts.report ? xstrdup(opts.report) : NULL;
	char *slash = dir ? strrchr(dir, '/') : NULL;
	struct stat st;

	if (!opts.report)
		return 0;
	if (!dir)
		return -1;
	if (slash)
		slash[slash == dir] = 0; /* "/file" is in "/" */
	report_dir = open(slash ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (report_dir < 0 || faccessat(report_dir, ".", W_OK, 0)) {
		pr_perror("--report: can't write %s", opts.report);
		return -1;
	}
	if (!*file_name() || (!fstatat(report_dir, file_name(), &st, 0) && !S_ISREG(st.st_mode))) {
		pr_err("--report: %s is not a file", opts.report);
		return -1;
	}
	return 0;
}

/* ---- the page ---- */

static void escaped(FILE *f, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default:
			fputc((unsigned char)*s < ' ' ? '?' : *s, f);
		}
	}
}

static const char style[] =
	":root{color-scheme:light dark;--bg:#fbfaf8;--fg:#1d2129;--muted:#666c76;--line:#dcdad5;"
	"--none:#eceae5;--fault:#c8420a;--prefetch:#e5a02c;--push:#3273b8}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#15171b;--fg:#e4e6ea;--muted:#9aa0aa;"
	"--line:#363a42;--none:#262a31;--fault:#ff8552;--prefetch:#f0c05a;--push:#5c9fe6}}\n"
	"body{margin:2rem auto;max-width:62rem;padding:0 1rem;background:var(--bg);color:var(--fg);"
	"font:16px/1.5 system-ui,sans-serif}\n"
	"h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .2rem}\n"
	"p{margin:.2rem 0 .8rem;color:var(--muted)}p.bad{color:var(--fault);font-weight:600}\n"
	"table{border-collapse:collapse;width:100%}"
	"th,td{padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);"
	"text-align:left;font-weight:400;vertical-align:top}"
	"th{color:var(--muted);width:19rem}td{font-variant-numeric:tabular-nums}\n"
	"figure{margin:.8rem 0 1.2rem}figcaption{font-size:.9rem}"
	"svg{width:100%;height:auto;display:block}\n"
	"text{fill:var(--muted);font:12px system-ui,sans-serif;paint-order:stroke;"
	"stroke:var(--bg);stroke-width:4px;stroke-linejoin:round}text.m{font:10.5px "
	"ui-monospace,monospace}"
	"text.e{text-anchor:end}text.c{text-anchor:middle}text.f{fill:var(--fg)}\n"
	".grid{stroke:var(--line);stroke-width:1}.mark{stroke:var(--fg);stroke-width:1;"
	"stroke-dasharray:4 3}\n"
	".fault{fill:var(--fault)}.prefetch{fill:var(--prefetch)}.push{fill:var(--push)}"
	".none{fill:var(--none)}\n"
	".t0{fill:#5a2a83}.t1{fill:#4d3d8f}.t2{fill:#3e4f8a}.t3{fill:#31688e}.t4{fill:#26828e}"
	".t5{fill:#1f9e89}.t6{fill:#35b779}.t7{fill:#6ece58}.t8{fill:#b5de2b}.t9{fill:#fde725}\n"
	".h1,.h2,.h3,.h4,.h5{fill:var(--fault)}.h1{fill-opacity:.25}.h2{fill-opacity:.42}"
	".h3{fill-opacity:.6}.h4{fill-opacity:.8}\n";

static void row(FILE *f, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void row(FILE *f, const char *what, const char *fmt, ...)
{
	va_list ap;

	fprintf(f, "<tr><th scope=\"row\">%s</th><td>", what);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputs("</td></tr>\n", f);
}

static double mib(uint64_t pages)
{
	return pages / 256.0;
}

static void pages_row(FILE *f, const char *what, uint64_t pages)
{
	row(f, what, "%" PRIu64 " page%s, %.1f MiB", pages, pages == 1 ? "" : "s", mib(pages));
}

static void table(FILE *f, const struct history *h, uint64_t end_ns)
{
	const struct lazy_stats *st = &h->st;
	uint64_t from_ns = st->finished_ns ?: h->zero_ns;
	double s = end_ns > from_ns ? (end_ns - from_ns) / 1e9 : 0;

	fputs("<table>\n", f);
	row(f, "Tasks", "%u", h->nr_tasks);
	pages_row(f, "Memory to bring", h->total_pages);
	row(f, "Time, from when the tasks ran", "%.3f s", s);
	row(f, "Brought in this time", "%.1f MiB/s", s > 0 ? st->bytes / s / (1 << 20) : 0.0);
	if (opts.compress)
		row(f, "Kept off the wire by compression", "%.1f MiB of %.1f MiB",
		    st->saved / (double)(1 << 20), st->bytes / (double)(1 << 20));
	pages_row(f, "Pages that were faulted on", st->pages[BY_FAULT]);
	pages_row(f, "Prefetched beside them", st->pages[BY_PREFETCH]);
	pages_row(f, opts.page_server ? "Pushed by the server" : "Brought in the background",
		  st->pages[BY_PUSH]);
	pages_row(f, "Pages of zeros among them", st->zero_pages);
	pages_row(f, "Discarded before they came", st->gone);
	row(f, "Pages that came twice or too late", "%" PRIu64, st->twice);
	row(f, "Faults", "%" PRIu64, st->faults);
	row(f, "Faults on pages under way", "%" PRIu64, st->known_faults + st->underway_faults);
	row(f, "Faults answered with zeros at once", "%" PRIu64, st->zero_faults);
	if (h->nr_latencies)
		row(f, "Fault latency", "median %.1f µs, 99 %% below %.1f µs, longest %.1f µs",
		    stats_percentile(h, 500) / 1e3, stats_percentile(h, 990) / 1e3,
		    h->max_latency_ns / 1e3);
	if (h->nr_workers > 1)
		row(f, "Workers",
		    "%u, each in the place of the one before it. What a dead one had fetched last "
		    "may not be counted, and pages are fetched again",
		    h->nr_workers);
	fputs("</table>\n", f);
}

static void head(FILE *f, const struct history *h, enum report_end end)
{
	char when[64];
	time_t now = time(NULL);
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %Z", localtime_r(&now, &tm));
	fprintf(f,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
		"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n"
		"<title>Lazy migration</title>\n<style>\n%s</style>\n</head>\n<body>\n"
		"<h1>Lazy migration of %.0f MiB in %u task%s</h1>\n<p>%s, ",
		style, mib(h->total_pages), h->nr_tasks, h->nr_tasks == 1 ? "" : "s", when);
	if (opts.page_server) {
		fputs("from ", f);
		escaped(f, opts.address ?: "a socket that was handed in");
		if (opts.address)
			fprintf(f, " port %d", opts.port);
	} else {
		fputs("from images on this host", f);
	}
	fputs(".</p>\n", f);
	if (end == REPORT_COMPLETE)
		return;
	fprintf(f, "<p class=\"bad\">%s: up to %" PRIu64 " pages (%.1f MiB) are missing.</p>\n",
		end == REPORT_FAILED ? "Ended too early" : "Given up, and the tasks are stopped",
		h->nr_left, mib(h->nr_left));
}

/* Before the first page came, or the tasks ran, there is nothing to be seen. */
static struct span what_to_show(const struct history *h, uint64_t end_ns)
{
	double from = h->st.finished_ns > h->zero_ns ? (h->st.finished_ns - h->zero_ns) / 1e9 : 0,
	       to = end_ns > h->zero_ns ? (end_ns - h->zero_ns) / 1e9 : 0;

	for (unsigned i = 0; i < NR_INTERVALS; i++) {
		const struct interval *in = &h->intervals[i];

		if (in->faults || in->pages[BY_FAULT] || in->pages[BY_PUSH])
			from = min(from, i * (h->width_ns / 1e9));
	}
	return (struct span){ from, max(to, from + 1e-3) };
}

static void page(FILE *f, const struct history *h, enum report_end end)
{
	uint64_t end_ns = end == REPORT_COMPLETE && h->st.end_ns ? h->st.end_ns : now_ns();

	struct span span = what_to_show(h, end_ns);

	head(f, h, end);
	table(f, h, end_ns);
	if (h->zero_ns) {
		fputs("<h2>When the pages arrived</h2>\n", f);
		svg_arrivals(f, h, &span);
	}
	if (h->nr_latencies) {
		fputs("<h2>How long faults took</h2>\n"
		      "<p>From when lazy-pages heard of a fault until the page was in place.</p>\n",
		      f);
		svg_latencies(f, h);
	}
	if (h->nr_drawn) {
		fputs("<h2>Where in memory</h2>\n"
		      "<p>All memory of a task that came lazily, in the order of its addresses: on "
		      "the left when it arrived, on the right where the task had to wait for "
		      "it.</p>\n",
		      f);
		svg_maps(f, h, &span);
	}
	fputs("</body>\n</html>\n", f);
}

void report_write(const struct history *h, enum report_end end)
{
	cleanup_free char *tmp = NULL;
	FILE *f;
	int fd;

	if (!opts.report || asprintf(&tmp, ".%s.%d", file_name(), getpid()) < 0)
		return;
	fd = openat(report_dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (f) {
		page(f, h, end);
		/* whoever looks meanwhile sees the old file or the whole new one */
		if (!(fflush(f) | ferror(f)) &&
		    !renameat(report_dir, tmp, report_dir, file_name())) {
			fclose(f);
			return;
		}
	}
	pr_perror("Can't write %s", opts.report);
	unlinkat(report_dir, tmp, 0);
	if (f)
		fclose(f);
	else
		close_safe(&fd);
}
