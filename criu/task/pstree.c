// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "task/pstree.h"

#include <errno.h>
#include <signal.h>

#include "image/image.h"
#include "util/log.h"

/* ---- dump ---- */

int pstree_check(struct op *op)
{
	struct task *root = op->root, *t;

	if (!opts.shell_job && root->sid != root->vpid) {
		if (!task_find(op, root->sid)) {
			pr_err("Process %d is not a session leader: its session %d lies outside of "
			       "what is dumped. Use --shell-job (-j) to let it join criu's session "
			       "at restore",
			       root->pid, root->sid);
			return -1;
		}
	}
	for_each_task (t, op)
		if (t != root && t->exit_signal != SIGCHLD) {
			pr_err("Process %d tells its parent of its end by signal %d instead of "
			       "SIGCHLD (clone(2)): not supported",
			       t->pid, t->exit_signal);
			return -1;
		}
	for_each_task (t, op)
		if (!t->sid || !t->pgid) {
			if (opts.shell_job && (t->sid == root->sid || t->sid == t->vpid))
				continue;
			pr_err("Process %d is in a session or process group of another pid "
			       "namespace: not supported without --shell-job",
			       t->pid);
			return -1;
		}
	return 0;
}

int pstree_write(struct op *op)
{
	cleanup_image struct image *img = image_create(op->images, IMG_PSTREE, 0);
	struct task *t;

	if (!img)
		return -1;
	for_each_task (t, op) {
		PstreeEntry e = PSTREE_ENTRY__INIT;
		cleanup_free uint32_t *threads = xcalloc(t->nr_threads, sizeof(*threads));

		if (!threads)
			return -1;
		e.pid = t->vpid;
		e.ppid = t->parent ? t->parent->vpid : 0;
		e.pgid = t->pgid;
		e.sid = t->sid;
		e.n_threads = t->nr_threads;
		e.threads = threads;
		for (unsigned i = 0; i < t->nr_threads; i++)
			threads[i] = task_alive(t) ? t->threads[i].vtid : 0;
		if (image_write(img, &e.base))
			return -1;
	}
	int ret = image_close(img);
	img = NULL;
	return ret;
}

/* ---- restore ---- */

static struct task *add_task(struct op *op, struct task *parent, pid_t vpid, pid_t pgid, pid_t sid)
{
	struct task *t = xzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->vpid = vpid;
	t->parent = parent;
	t->pgid = pgid;
	t->sid = sid;
	t->state = TASK_ALIVE;
	t->pidfd = t->proc = t->uffd = -1;
	TAILQ_INSERT_TAIL(&op->tasks, t, link);
	op->nr_tasks++;
	return t;
}

static int add_threads(struct task *t, const uint32_t *tids, size_t nr)
{
	t->threads = xcalloc(nr, sizeof(*t->threads));
	if (!t->threads)
		return -1;
	t->nr_threads = nr;
	for (size_t i = 0; i < nr; i++)
		t->threads[i] = (struct thread){ .vtid = tids[i], .task = t };
	t->threads[0].vtid = t->vpid;
	return 0;
}

static int read_task(struct op *op, const PstreeEntry *e)
{
	struct task *parent = e->ppid ? task_find(op, e->ppid) : NULL, *t;

	if (!e->pid || !e->n_threads || task_find(op, e->pid) || (op->root && !parent) ||
	    (!op->root && e->ppid)) {
		pr_err("pstree.img: the entry of pid %u (parent %u, %zu threads) does not fit into "
		       "a tree",
		       e->pid, e->ppid, e->n_threads);
		return -1;
	}
	t = add_task(op, parent, e->pid, e->pgid, e->sid);
	if (!t || add_threads(t, e->threads, e->n_threads))
		return -1;
	if (!op->root)
		op->root = t;
	return 0;
}

int pstree_read(struct op *op)
{
	cleanup_image struct image *img = image_open(op->images, IMG_PSTREE, 0, true);
	PstreeEntry *e;
	int ret;

	if (!img)
		return -1;
	while ((ret = image_read_as(img, &e)) > 0) {
		ret = read_task(op, e);
		pstree_entry__free_unpacked(e, NULL);
		if (ret)
			return -1;
	}
	if (ret < 0)
		return -1;
	if (!op->root) {
		pr_err("pstree.img holds no task");
		return -1;
	}
	return 0;
}

static struct task *add_helper(struct op *op, pid_t vpid, pid_t pgid, pid_t sid)
{
	struct task *t = add_task(op, op->root, vpid, pgid, sid);
	uint32_t tid = vpid;

	if (!t || add_threads(t, &tid, 1))
		return NULL;
	t->state = TASK_HELPER;
	pr_debug("A helper takes pid %d (session %d, group %d) for tasks whose leader is gone",
		 vpid, sid, pgid);
	return t;
}

/*
 * Sessions and groups that exist only in their members: a helper takes the leader's pid while the tree is made. The root's own foreign
 * session and group (--shell-job) become criu's.
 */
int pstree_plan(struct op *op)
{
	pid_t root_sid = op->root->sid, root_pgid = op->root->pgid;
	bool foreign_sid = root_sid != op->root->vpid && !task_find(op, root_sid);
	bool foreign_pgid = root_pgid != op->root->vpid && !task_find(op, root_pgid);
	struct task *t;

	if (foreign_sid && !opts.shell_job) {
		pr_err("The root task %d belonged to a session outside of the checkpoint: restore "
		       "with --shell-job (-j) to make it join criu's",
		       op->root->vpid);
		return -1;
	}
	for_each_task (t, op) {
		if (t->state == TASK_HELPER)
			continue;
		if (!(foreign_sid && t->sid == root_sid) && !task_find(op, t->sid) &&
		    !add_helper(op, t->sid, t->sid, t->sid))
			return -1;
	}
	for_each_task (t, op) {
		if (t->state == TASK_HELPER)
			continue;
		if (!(foreign_pgid && t->pgid == root_pgid) && !task_find(op, t->pgid) &&
		    !add_helper(op, t->pgid, t->pgid, t->sid))
			return -1;
	}
	return 0;
}
