// SPDX-License-Identifier: GPL-2.0-only
#include "stats.h"

#include <inttypes.h>
#include <stdio.h>

#include "image/image.h"
#include "op.h"
#include "stats.pb-c.h"
#include "util/dirs.h"
#include "util/log.h"

static void show_time(const char *what, uint32_t us)
{
	printf("%s: %u us\n", what, us);
}

static void show_count(const char *what, uint64_t n)
{
	printf("%s: %" PRIu64 " (0x%" PRIx64 ")\n", what, n, n);
}

static void show_dump(const DumpStatsEntry *d)
{
	printf("Displaying dump stats:\n");
	show_time("Freezing time", d->freezing_time);
	show_time("Frozen time", d->frozen_time);
	show_time("Memory dump time", d->memdump_time);
	show_time("Memory write time", d->memwrite_time);
	show_count("Memory pages scanned", d->pages_scanned);
	show_count("Memory pages skipped from parent", d->pages_skipped_parent);
	show_count("Memory pages written", d->pages_written);
	show_count("Lazy memory pages", d->pages_lazy);
	fflush(stdout);
}

static void show_restore(const RestoreStatsEntry *r)
{
	printf("Displaying restore stats:\n");
	show_count("Pages compared", r->pages_compared);
	show_count("Pages skipped COW", r->pages_skipped_cow);
	if (r->has_pages_restored)
		show_count("Pages restored", r->pages_restored);
	show_time("Restore time", r->restore_time);
	show_time("Forking time", r->forking_time);
	fflush(stdout);
}

static int write_entry(const char *name, const StatsEntry *e)
{
	struct image *img = image_create_str(dirs.work, IMG_STATS, name);

	if (!img)
		return -1;
	if (image_write(img, &e->base)) {
		image_close(img);
		return -1;
	}
	return image_close(img);
}

int stats_write(const struct op *op)
{
	DumpStatsEntry d = DUMP_STATS_ENTRY__INIT;
	RestoreStatsEntry r = RESTORE_STATS_ENTRY__INIT;
	StatsEntry e = STATS_ENTRY__INIT;

	if (!strcmp(op->name, "restore")) {
		e.restore = &r;
		r.pages_compared = op->stats.pages_compared;
		r.pages_skipped_cow = op->stats.pages_skipped_cow;
		r.has_pages_restored = true;
		r.pages_restored = op->stats.pages_restored;
		r.forking_time = op->stats.forking_us;
		r.restore_time = op->stats.restore_us;
		if (opts.display_stats)
			show_restore(&r);
		return write_entry("restore", &e);
	}
	e.dump = &d;
	d.freezing_time = op->stats.freezing_us;
	d.frozen_time = op->stats.frozen_us;
	d.memdump_time = op->stats.memdump_us;
	d.memwrite_time = op->stats.memwrite_us;
	d.pages_scanned = op->stats.pages_scanned;
	d.pages_skipped_parent = op->stats.pages_skipped_parent;
	d.pages_written = op->stats.pages_written;
	d.pages_lazy = op->stats.pages_lazy;
	d.has_page_pipes = d.has_page_pipe_bufs = true;
	d.page_pipes = op->stats.page_pipes;
	d.page_pipe_bufs = op->stats.page_pipe_bufs;
	d.has_shpages_scanned = d.has_shpages_skipped_parent = d.has_shpages_written = true;
	d.shpages_scanned = op->stats.shpages_scanned;
	d.shpages_skipped_parent = op->stats.shpages_skipped_parent;
	d.shpages_written = op->stats.shpages_written;
	if (opts.display_stats)
		show_dump(&d);
	return write_entry("dump", &e);
}
