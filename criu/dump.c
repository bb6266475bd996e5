// SPDX-License-Identifier: GPL-2.0-only
/*
 * The story of dump. Until the last step, the inventory, the directory is not a checkpoint; a failure anywhere before
 * leaves the tasks running as they were.
 */
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>

#include "chain.h"
#include "files/files.h"
#include "inventory.h"
#include "lazy/serve.h"
#include "lazy/spill.h"
#include "mem/dedup.h"
#include "mem/mem.h"
#include "mem/pagemap.h"
#include "mem/sink.h"
#include "mem/track.h"
#include "mem/vm_flags.h"
#include "net/tls.h"
#include "op.h"
#include "remote/freeze.h"
#include "remote/puppet.h"
#include "stats.h"
#include "stories.h"
#include "task/core.h"
#include "task/pstree.h"
#include "util/action.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"

static int step_options(struct op *op)
{
	if (opts.pid <= 0) {
		pr_err("dump needs the root task's pid: -t PID");
		return -1;
	}
	/* a dump that lets the tasks run can be a link of a chain itself */
	op->follow = opts.track_mem && (opts.leave_running || opts.leave_stopped) &&
		     !opts.lazy_pages;
	if ((op->follow && track_check()) || chain_open(op))
		return -1;
	if (opts.page_server && sink_connect())
		return -1;
	if (opts.lazy_pages) {
		/* a key that lies there from an earlier dump would be used by lazy-pages */
		tls_key_remove(op->images);
		if ((opts.tls_psk && tls_key_make(op->images)) || spill_open() ||
		    lazy_server_listen())
			return -1;
	}
	/* learned while the tasks still run */
	if (vm_flags_worth(opts.pid))
		op->vm_flags = vm_flags_learn();
	return files_init(op);
}

static void undo_options(struct op *op)
{
	if (opts.lazy_pages) {
		tls_key_remove(op->images);
		lazy_server_unlisten();
		spill_drop();
	}
	if (opts.page_server)
		sink_disconnect(true);
	files_free(op);
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

static uint64_t frozen_at;

static int step_freeze(struct op *op)
{
	int ret = freeze_tree(op, opts.pid, opts.timeout_s);

	frozen_at = now_us();
	return ret;
}

static void undo_freeze(struct op *op)
{
	thaw_tree(op, false);
	tasks_free(op);
}

static int step_collect(struct op *op)
{
	struct task *t;

	if (pstree_check(op) || ids_dump(op) || inventory_clear(op) || timens_dump(op))
		return -1;
	if (chain_join(op))
		return -1;
	for_each_live_task (t, op)
		if (vmas_collect(op, t) || track_forget_stale(t))
			return -1;
	return 0;
}

/* What is known of writes since the parent link, and what will be. */
static int track(struct op *op, struct task *t)
{
	cleanup_close int pagemap = -1;

	if (t->uffd < 0 && !op->follow && (track_by_uffd() || !t->tracked))
		return 0;
	if (op->follow && track_by_uffd() && t->uffd < 0 && track_make(t))
		return -1;
	pagemap = openat(t->proc, "pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0) {
		pr_perror("Can't open /proc/%d/pagemap", t->pid);
		return -1;
	}
	return track_areas(t, pagemap, op->follow);
}

static int step_infect(struct op *op)
{
	struct task *t;

	for_each_live_task (t, op) {
		struct puppet *first = puppet_infect(t->pid, t->vpid, t->nr_threads);

		leader(t)->puppet = first;
		if (!first)
			return -1;
		for (unsigned i = 1; i < t->nr_threads; i++) {
			struct thread *th = &t->threads[i];

			th->puppet = puppet_join(first, th->tid, th->vtid, i);
			if (!th->puppet)
				return -1;
		}
	}
	for_each_live_task (t, op)
		if (track(op, t) || mm_describe(op, t))
			return -1;
	/* not earlier: the walk for smaps would keep the lock that mapping the arena, tracking and brk() need */
	return vmas_start_flags(op);
}

/* The other threads first: the leader's cure unmaps what they share. */
static int cure(struct op *op)
{
	struct task *t;
	int ret = 0;

	for_each_live_task (t, op)
		for (int i = t->nr_threads - 1; i >= 0; i--) {
			if (t->threads[i].puppet)
				ret |= puppet_cure(t->threads[i].puppet);
			t->threads[i].puppet = NULL;
		}
	return ret;
}

static void undo_infect(struct op *op)
{
	vmas_free_flags(op);
	cure(op);
}

static int step_tasks(struct op *op)
{
	struct task *t;

	for_each_task (t, op)
		if (core_dump(op, t) || core_write(op, t) || (task_alive(t) && ids_write(op, t)))
			return -1;
	return pstree_write(op);
}

static int step_memory(struct op *op)
{
	uint64_t start = now_us();
	struct task *t;

	if (op->follow && chain_break(op))
		return -1;
	for_each_live_task (t, op)
		if (pages_dump(op, t))
			return -1;
	op->stats.memdump_us = now_us() - start;
	return 0;
}

/* After the memory: by now the flags of the areas have been read. */
static int step_areas(struct op *op)
{
	struct task *t;

	if (vmas_finish_flags(op))
		return -1;
	for_each_live_task (t, op)
		if (mm_dump(op, t))
			return -1;
	return 0;
}

static int step_flush(struct op *op)
{
	puppet_unfollow(); /* the last program has run; scripts and servers are to use every processor */
	return opts.page_server ? sink_disconnect(false) : 0;
}

static int step_track(struct op *op)
{
	return op->follow ? chain_continue(op) : 0;
}

static const struct step dump_steps[] = {
	{ "options", step_options, undo_options },
	{ "pre-dump-action", step_pre_dump_action, NULL },
	{ "freeze", step_freeze, undo_freeze },
	{ "collect", step_collect, NULL },
	{ "infect", step_infect, undo_infect },
	{ "tasks", step_tasks, NULL },
	{ "memory", step_memory, NULL },
	{ "areas", step_areas, NULL },
	{ "files", files_dump, NULL },
	{ "flush", step_flush, NULL },
	{ "inventory", inventory_write, inventory_remove },
	{ "track", step_track, NULL },
	{ "post-dump-action", step_post_dump_action, NULL },
};

/* With --lazy-pages the frozen tasks are the store of their pages: served until the other side has all it needs. */
static int serve(struct op *op, struct lazy_outcome *out)
{
	struct lazy_source *src = xcalloc(op->nr_tasks, sizeof(*src));
	unsigned nr = 0;
	struct task *t;
	int ret = -1;

	if (!src)
		return -1;
	for_each_live_task (t, op) {
		src[nr] = (struct lazy_source){ .vpid = t->vpid, .pid = t->pid };
		src[nr].pm = pagemap_open_alone(op->images, IMG_PAGEMAP, t->vpid);
		if (!src[nr++].pm)
			goto out;
	}
	ret = lazy_serve_tasks(op, src, nr, out);
out:
	while (nr--)
		pagemap_close(src[nr].pm);
	free(src);
	return ret;
}

static int finish(struct op *op)
{
	struct lazy_outcome out = { 0 };
	int ret = 0;

	op->stats.frozen_us = now_us() - frozen_at;
	if (stats_write(op))
		pr_warn("The checkpoint is complete, but its statistics could not be written");
	if (opts.lazy_pages) {
		ret = serve(op, &out);
		if (ret && !out.committed) {
			pr_err("The pages were not fetched: the tasks go on here as if nothing had "
			       "happened");
			op->failed = true;
			spill_drop();
			inventory_remove(op);
			tls_key_remove(op->images);
			cure(op);
			thaw_tree(op, false);
			return -1;
		}
	}
	if (opts.leave_running || opts.leave_stopped) {
		ret |= cure(op);
		thaw_tree(op, opts.leave_stopped);
	} else {
		ret |= kill_tree(op);
	}
	if (opts.prev_images_dir && !op->follow)
		chain_end(op);
	if (!ret && opts.auto_dedup && !opts.page_server)
		ret = dedup_parents(op->images);
	return ret;
}

int cmd_dump(void)
{
	struct op op = { .name = "dump",
			 .images = dirs.images,
			 .work = dirs.work,
			 .tasks = TAILQ_HEAD_INITIALIZER(op.tasks) };
	int ret;

	if (steps_run(&op, dump_steps, ARRAY_SIZE(dump_steps)))
		return 1;
	ret = finish(&op);
	files_free(&op);
	seccomp_free(&op);
	vmas_free_flags(&op);
	tasks_free(&op);
	chain_free(&op);
	if (!ret)
		pr_info("Dumping finished successfully");
	return ret ? 1 : 0;
}
