// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lazy/lazyd.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define PERIOD_MS 200

/* What was drawn last, by this worker. */
static struct {
	struct history *h; /* NULL: no line */
	uint64_t at_ns, bytes, faults;
	bool idle; /* since then nothing has come */
} last;

static void put(const char *text, int len)
{
	/* a terminal that is gone is no reason to fail */
	ssize_t n = write(STDERR_FILENO, text, len);
	(void)n;
}

void progress_clear(void)
{
	if (!last.h || !last.h->shown)
		return;
	last.h->shown = false;
	put("\r\033[K", 4);
}

void progress_init(struct history *h)
{
	if (opts.verbosity == LOG_SILENT || !isatty(STDERR_FILENO))
		return;
	last.h = h;
	last.at_ns = now_ns();
	log_before_stderr = progress_clear;
}

int progress_wait_ms(void)
{
	return last.h && last.h->nr_tasks && !last.idle ? PERIOD_MS : -1;
}

static unsigned columns(void)
{
	struct winsize ws;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) || !ws.ws_col ? 80 : ws.ws_col;
}

static void draw(const struct lazyd *d, double seconds)
{
	const struct lazy_stats *st = &d->st;
	const struct history *h = last.h;
	uint64_t total = h->total_pages / 256, left = d->nr_left / 256;
	char line[256];
	int len;

	len = snprintf(line, sizeof(line),
		       "\r\033[K%" PRIu64 " of %" PRIu64
		       " MiB (%.0f %%)  %.0f MiB/s  %.0f faults/s",
		       total - min(total, left), total,
		       total ? 100.0 * (total - min(total, left)) / total : 100.0,
		       (st->bytes - last.bytes) / seconds / (1 << 20),
		       (st->faults - last.faults) / seconds);
	if (h->nr_latencies)
		len += snprintf(line + len, sizeof(line) - len, "  p50 %.0f us  p99 %.0f us",
				stats_percentile(h, 500) / 1e3, stats_percentile(h, 990) / 1e3);
	/* a line that wraps could not be taken away */
	put(line, min(len, (int)columns() - 1 + 4));
}

void progress_draw(struct lazyd *d)
{
	uint64_t now;

	if (!last.h || !last.h->nr_tasks)
		return;
	now = now_ns();
	if (now - last.at_ns < PERIOD_MS * 1000000ULL)
		return;
	last.idle = last.bytes == d->st.bytes && last.faults == d->st.faults;
	draw(d, (now - last.at_ns) / 1e9);
	last.h->shown = true;
	last.at_ns = now;
	last.bytes = d->st.bytes;
	last.faults = d->st.faults;
}
