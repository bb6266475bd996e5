// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "chain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "image/image.h"
#include "inventory.h"
#include "mem/track.h"
#include "mem/tracker.h"
#include "util/io.h"
#include "util/log.h"

#define MAX_LINKS 1000

struct chain {
	bool has_parent;
	char parent_id
		[LINK_ID_LEN]; /* run id of the parent link; "": images of a program that writes none */
	uint64_t parent_uptime_us; /* when it was made; 0: not known */
	struct tracker *trackers;
	unsigned nr_trackers;
	bool *ours; /* which of them hold tasks of this tree */
};

/* ---- the links behind this one ---- */

static bool same_dir(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Every link must be there and complete: what it lacks cannot be had when the last one is restored. */
static int check_links(int images, int prev)
{
	cleanup_close int dir = dup(prev);

	for (unsigned i = 1; dir >= 0; i++) {
		int next;

		if (same_dir(dir, images) || i > MAX_LINKS) {
			pr_err("--prev-images-dir %s: the chain of its \"parent\" links leads back "
			       "to the images directory",
			       opts.prev_images_dir);
			return -1;
		}
		if (faccessat(dir, "inventory.img", R_OK, AT_EACCESS)) {
			pr_perror("--prev-images-dir %s: link %u of the chain, counted backwards, "
				  "is not complete: its inventory.img",
				  opts.prev_images_dir, i);
			return -1;
		}
		next = openat(dir, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (next < 0 && errno != ENOENT) {
			pr_perror("--prev-images-dir %s: the \"parent\" of link %u cannot be "
				  "opened",
				  opts.prev_images_dir, i);
			return -1;
		}
		if (next < 0 && !faccessat(dir, "parent", F_OK, AT_SYMLINK_NOFOLLOW)) {
			pr_err("--prev-images-dir %s: link %u has a parent that is missing: a "
			       "chain without it cannot be restored",
			       opts.prev_images_dir, i);
			return -1;
		}
		close(dir);
		dir = next;
	}
	return 0;
}

int chain_link_parent(int images, bool complete)
{
	cleanup_close int prev = -1;

	if (!opts.prev_images_dir) {
		struct stat st;

		if (!fstatat(images, "parent", &st, AT_SYMLINK_NOFOLLOW) && S_ISLNK(st.st_mode))
			unlinkat(images, "parent", 0);
		return 0;
	}
	prev = openat(images, opts.prev_images_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (prev < 0) {
		pr_perror("Can't open --prev-images-dir %s (it is relative to the images "
			  "directory)",
			  opts.prev_images_dir);
		return -1;
	}
	if (complete && check_links(images, prev))
		return -1;
	if (!symlinkat(opts.prev_images_dir, images, "parent"))
		return 0;
	if (errno == EEXIST && !unlinkat(images, "parent", 0) &&
	    !symlinkat(opts.prev_images_dir, images, "parent"))
		return 0;
	pr_perror("Can't make the link \"parent\" in the images directory");
	return -1;
}

/* ---- the parent, and who tracks ---- */

int chain_open(struct op *op)
{
	struct chain *c = xzalloc(sizeof(*c));
	struct link_info parent;

	if (!c)
		return -1;
	op->chain = c;
	if (chain_link_parent(op->images, true))
		return -1;
	if (opts.prev_images_dir) {
		cleanup_close int dir = openat(op->images, "parent",
					       O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0 || inventory_link(dir, &parent))
			return -1;
		c->has_parent = true;
		snprintf(c->parent_id, sizeof(c->parent_id), "%s", parent.run_id);
		c->parent_uptime_us = parent.uptime_us;
	}
	if (tracker_find_all(&c->trackers, &c->nr_trackers))
		return -1;
	c->ours = xcalloc(c->nr_trackers + 1, sizeof(*c->ours));
	return c->ours ? 0 : -1;
}

/* Without a tracker the clock tells: a task younger than the parent link was not in it. */
static int check_root(struct op *op)
{
	struct chain *c = op->chain;
	uint64_t us = op->root->start_time * 1000000 / sysconf(_SC_CLK_TCK);
	char name[64];

	snprintf(name, sizeof(name), "parent/pagemap-%d.img", op->root->vpid);
	if (c->parent_uptime_us && us > c->parent_uptime_us)
		pr_err("--prev-images-dir %s holds images of another task: process %d was started "
		       "after they were made",
		       opts.prev_images_dir, op->root->pid);
	else if (!opts.page_server && faccessat(op->images, name, F_OK, AT_EACCESS))
		pr_err("--prev-images-dir %s holds images of another task: there is no "
		       "pagemap-%d.img in it",
		       opts.prev_images_dir, op->root->vpid);
	else
		return 0;
	return -1;
}

static void take_task(struct op *op, struct task *t)
{
	struct chain *c = op->chain;

	for (unsigned i = 0; i < c->nr_trackers; i++) {
		const struct tracker_task *tt = tracker_task(&c->trackers[i], t->pid,
							     t->start_time);

		if (!tt)
			continue;
		c->ours[i] = true;
		t->tracked = c->has_parent && *c->parent_id &&
			     !strcmp(c->trackers[i].link, c->parent_id);
		if (tt->uffd >= 0)
			t->uffd = tracker_take(&c->trackers[i], tt);
		if (tt->uffd >= 0 && t->uffd < 0) {
			pr_warn("Can't take the userfaultfd of task %d from its tracker: %s",
				t->pid, strerror(errno));
			t->tracked = false;
		}
		return;
	}
}

/* The tracker of the root says of which link it knows. */
static int check_last(struct op *op)
{
	struct chain *c = op->chain;

	for (unsigned i = 0; i < c->nr_trackers; i++) {
		if (!tracker_task(&c->trackers[i], op->root->pid, op->root->start_time))
			continue;
		if (!*c->trackers[i].link) {
			pr_warn("The dump after %s failed: what was written since is not known, so "
				"this one holds all pages",
				opts.prev_images_dir);
			return 0;
		}
		if (!strcmp(c->trackers[i].link, c->parent_id))
			return 0;
		pr_err("--prev-images-dir %s is not the last dump of process %d (that one has the "
		       "id %s): what was written between them would be lost. Give the last one's "
		       "directory, or none for a new chain",
		       opts.prev_images_dir, op->root->pid, c->trackers[i].link);
		return -1;
	}
	pr_warn("Nothing has tracked process %d since %s was made: this dump holds all pages",
		op->root->pid, opts.prev_images_dir);
	return 0;
}

int chain_join(struct op *op)
{
	struct chain *c = op->chain;
	struct task *t;

	if (c->has_parent && (check_root(op) || check_last(op)))
		return -1;
	for_each_live_task (t, op)
		take_task(op, t);
	return 0;
}

int chain_break(struct op *op)
{
	struct chain *c = op->chain;

	for (unsigned i = 0; i < c->nr_trackers; i++)
		if (c->ours[i] && tracker_invalidate(&c->trackers[i]))
			return -1;
	return 0;
}

void chain_end(struct op *op)
{
	struct chain *c = op->chain;

	for (unsigned i = 0; i < c->nr_trackers; i++)
		if (c->ours[i])
			tracker_kill(&c->trackers[i]);
}

int chain_continue(struct op *op)
{
	cleanup_free struct tracker_task *tasks = xcalloc(op->nr_tasks, sizeof(*tasks));
	uint32_t nr = 0;
	struct task *t;

	if (!tasks)
		return -1;
	for_each_live_task (t, op) {
		if (t->uffd < 0 && track_by_uffd())
			continue; /* it could not make one */
		tasks[nr++] = (struct tracker_task){ .pid = t->pid,
						     .uffd = t->uffd,
						     .start_time = t->start_time };
	}
	/* the old one's descriptors are copied: its end takes nothing away */
	if (nr && tracker_start(op->run_id, op->root->pid, tasks, nr))
		return -1;
	chain_end(op);
	return 0;
}

void chain_free(struct op *op)
{
	struct chain *c = op->chain;

	if (!c)
		return;
	tracker_free_all(c->trackers, c->nr_trackers);
	free(c->ours);
	free(c);
	op->chain = NULL;
}
