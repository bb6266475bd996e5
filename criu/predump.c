// SPDX-License-Identifier: GPL-2.0-only
/*
 * The story of pre-dump: the tree stands still only while its memory is looked at; it is copied while the tasks run. A failure
 * leaves no link: the next dump then holds all pages.
 */
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>

#include "chain.h"
#include "inventory.h"
#include "mem/dedup.h"
#include "mem/precopy.h"
#include "mem/sink.h"
#include "mem/track.h"
#include "op.h"
#include "remote/freeze.h"
#include "remote/puppet.h"
#include "stats.h"
#include "stories.h"
#include "task/pstree.h"
#include "util/action.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"

static uint64_t frozen_at;
static bool frozen;
static struct precopy **found; /* of each live task, in their order */
static unsigned nr_found;

static int step_options(struct op *op)
{
	if (opts.pid <= 0) {
		pr_err("pre-dump needs the root task's pid: -t PID");
		return -1;
	}
	opts.track_mem = true;
	if (track_check() || chain_open(op))
		return -1;
	return opts.page_server ? sink_connect() : 0;
}

static void undo_options(struct op *op)
{
	if (opts.page_server)
		sink_disconnect(true);
	chain_free(op);
}

static int step_pre_dump_action(struct op *op)
{
	return action_run("pre-dump", opts.pid);
}

static int step_post_dump_action(struct op *op)
{
	return action_run("post-dump", opts.pid);
}

static int step_freeze(struct op *op)
{
	int ret = freeze_tree(op, opts.pid, opts.timeout_s);

	frozen_at = now_us();
	frozen = !ret;
	return ret;
}

static int let_run(struct op *op)
{
	struct task *t;
	int ret = 0;

	for_each_live_task (t, op) {
		if (leader(t)->puppet)
			ret |= puppet_cure(leader(t)->puppet);
		leader(t)->puppet = NULL;
	}
	thaw_tree(op, false);
	frozen = false;
	op->stats.frozen_us = now_us() - frozen_at;
	return ret;
}

static void undo_freeze(struct op *op)
{
	if (frozen)
		let_run(op);
	while (nr_found)
		precopy_free(found[--nr_found]);
	free(found);
	tasks_free(op);
}

static int step_collect(struct op *op)
{
	struct task *t;

	if (chain_join(op) || ids_dump(op) || inventory_clear(op))
		return -1;
	for_each_live_task (t, op)
		if (track_collect(t))
			return -1;
	return 0;
}

static int prepare(struct task *t)
{
	if (track_forget_stale(t))
		return -1;
	if ((t->uffd >= 0 || !track_by_uffd()) && opts.pre_dump_mode != PRE_DUMP_SPLICE)
		return 0;
	leader(t)->puppet = puppet_infect(t->pid, t->vpid, 1);
	if (!leader(t)->puppet)
		return -1;
	return t->uffd < 0 && track_by_uffd() ? track_make(t) : 0;
}

static int step_scan(struct op *op)
{
	uint64_t start = now_us();
	struct task *t;

	found = xcalloc(op->nr_tasks, sizeof(*found));
	if (!found || chain_break(op))
		return -1;
	for_each_live_task (t, op) {
		if (prepare(t))
			return -1;
		found[nr_found] = precopy_scan(op, t);
		if (!found[nr_found++])
			return -1;
	}
	op->stats.memdump_us = now_us() - start;
	return 0;
}

static int step_copy(struct op *op)
{
	uint64_t start = now_us();

	puppet_unfollow(); /* copying is to use every processor, and so are scripts and trackers */
	for (unsigned i = 0; i < nr_found; i++)
		if (precopy_write(op, found[i]))
			return -1;
	op->stats.memwrite_us = now_us() - start;
	return 0;
}

static int step_flush(struct op *op)
{
	return opts.page_server ? sink_disconnect(false) : 0;
}

static const struct step steps[] = {
	{ "options", step_options, undo_options },
	{ "pre-dump-action", step_pre_dump_action, NULL },
	{ "freeze", step_freeze, undo_freeze },
	{ "collect", step_collect, NULL },
	{ "scan", step_scan, NULL },
	{ "resume", let_run, NULL },
	{ "copy", step_copy, NULL },
	{ "flush", step_flush, NULL },
	{ "inventory", inventory_write, inventory_remove },
	{ "track", chain_continue, NULL },
	{ "post-dump-action", step_post_dump_action, NULL },
};

int cmd_pre_dump(void)
{
	struct op op = { .name = "pre-dump",
			 .images = dirs.images,
			 .work = dirs.work,
			 .tasks = TAILQ_HEAD_INITIALIZER(op.tasks) };
	int ret = 0;

	if (steps_run(&op, steps, ARRAY_SIZE(steps)))
		return 1;
	if (stats_write(&op))
		pr_warn("The pre-dump is complete, but its statistics could not be written");
	if (opts.auto_dedup && !opts.page_server)
		ret = dedup_parents(op.images);
	undo_freeze(&op);
	chain_free(&op);
	return ret ? 1 : 0;
}
