// SPDX-License-Identifier: GPL-2.0-only
/* crit x DIR ps|fds|mems|rss|missing: looks around in a checkpoint. */
#include "crit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "checkpoint.h"
#include "pagemap.pb-c.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* ---- ps ---- */

/* In place: no control characters from an image on the terminal. */
static const char *printable(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text;
}

static int show_task(const struct checkpoint *ck, const PstreeEntry *t, unsigned depth)
{
	CoreEntry *core = checkpoint_core(ck, t->pid);

	if (!core)
		return -1;
	printf("%7u%7u%7u   %*s%s%s\n", t->pid, t->pgid, t->sid, (int)depth * 4, "",
	       core->tc ? printable(core->tc->comm) : "?",
	       !checkpoint_is_alive(core)	       ? " <defunct>"
	       : core->tc && core->tc->task_state == 3 ? " <stopped>"
						       : "");
	core_entry__free_unpacked(core, NULL);
	return 0;
}

/* pstree.img has parents before their children: the depth of each is that of its parent and one. */
static int x_ps(struct checkpoint *ck)
{
	cleanup_free unsigned *depth = xcalloc(ck->nr_tasks, sizeof(*depth));
	cleanup_free bool *shown = xcalloc(ck->nr_tasks, sizeof(*shown));
	cleanup_free size_t *stack = xcalloc(ck->nr_tasks, sizeof(*stack));

	if (!depth || !shown || !stack)
		return -1;
	printf("%7s%7s%7s   %s\n", "PID", "PGID", "SID", "COMM");
	for (size_t i = 0; i < ck->nr_tasks; i++) {
		size_t nr = 0;

		if (shown[i])
			continue;
		stack[nr++] = i;
		shown[i] = true;
		while (nr) {
			size_t at = stack[--nr];

			if (show_task(ck, ck->tasks[at], depth[at]))
				return -1;
			for (size_t k = ck->nr_tasks; k-- > 0;) {
				if (shown[k] || ck->tasks[k]->ppid != ck->tasks[at]->pid)
					continue;
				depth[k] = depth[at] + 1;
				shown[k] = true;
				stack[nr++] = k;
			}
		}
	}
	return 0;
}

/* ---- fds ---- */

static int show_file(const struct checkpoint *ck, const char *what, uint32_t id)
{
	const FileEntry *f = checkpoint_file(ck, id);
	cleanup_free char *text = f ? file_describe(f) : xasprintf("? (no file has the id %u)", id);

	if (!text)
		return -1;
	printf("\t%7s: %s\n", what, text);
	return 0;
}

static int show_fd(const ProtobufCMessage *msg, void *arg)
{
	const FdinfoEntry *e = (const FdinfoEntry *)msg;
	char what[16];

	snprintf(what, sizeof(what), "%u", e->fd);
	return show_file(arg, what, e->id);
}

static int task_fds(const struct checkpoint *ck, const PstreeEntry *task, void *arg)
{
	TaskKobjIdsEntry *ids = NULL;
	int ret = checkpoint_ids(ck, task->pid, &ids);
	FsEntry *fs;

	printf("%u\n", task->pid);
	if (ret <= 0)
		return ret;
	ret = checkpoint_each(ck, IMG_FDINFO, ids->files_id, show_fd, (void *)ck);
	task_kobj_ids_entry__free_unpacked(ids, NULL);
	if (ret)
		return -1;
	fs = checkpoint_fs(ck, task->pid);
	if (!fs)
		return -1;
	ret = show_file(ck, "cwd", fs->cwd_id) || show_file(ck, "root", fs->root_id) ? -1 : 0;
	fs_entry__free_unpacked(fs, NULL);
	return ret;
}

/* ---- mems ---- */

static int task_mems(const struct checkpoint *ck, const PstreeEntry *task, void *arg)
{
	MmEntry *mm = checkpoint_mm(ck, task->pid);
	int ret = mm ? 0 : -1;

	if (!mm)
		return -1;
	printf("%u\n", task->pid);
	if (checkpoint_file(ck, mm->exe_file_id)) {
		cleanup_free char *exe = file_describe(checkpoint_file(ck, mm->exe_file_id));

		printf("\t%-36s%s\n", "exe", exe ?: "");
	}
	for (size_t i = 0; !ret && i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];
		cleanup_free char *name = vma_describe(ck, v);
		char range[40], prot[5];

		if (!name) {
			ret = -1;
			break;
		}
		snprintf(range, sizeof(range), "%" PRIx64 "-%" PRIx64, v->start, v->end);
		vma_prot_text(v, prot);
		printf(*name ? "\t%-36s%s   %s\n" : "\t%-36s%s\n", range, prot, name);
	}
	mm_entry__free_unpacked(mm, NULL);
	return ret;
}

/* ---- rss ---- */

struct rss {
	const struct checkpoint *ck;
	const MmEntry *mm;
	size_t vma;	    /* the first that may still hold pages */
	const VmaEntry *on; /* the last one shown */
	bool head_seen;
};

/* Beside a run of pages: the area it lies in; "~" where that is the one above. */
static int show_vma(struct rss *r, const VmaEntry *v, const char *left)
{
	cleanup_free char *name = v == r->on ? NULL : vma_describe(r->ck, v);
	char right[40];

	if (v == r->on) {
		printf("\t%-24s%s\n", left, "~");
		return 0;
	}
	r->on = v;
	snprintf(right, sizeof(right), "%08" PRIx64 " / %" PRIu64, v->start,
		 (v->end - v->start) / PAGE_SIZE);
	if (!name)
		return -1;
	printf(*name ? "\t%-24s%-24s%s\n" : "\t%-24s%s\n", left, right, name);
	return 0;
}

static int show_run(const ProtobufCMessage *msg, void *arg)
{
	struct rss *r = arg;
	const PagemapEntry *e = (const PagemapEntry *)msg;
	uint64_t nr, end;
	char left[48];

	if (msg->descriptor != &pagemap_entry__descriptor)
		return 0; /* the head */
	nr = e->has_nr_pages ? e->nr_pages : e->compat_nr_pages;
	if (__builtin_mul_overflow(nr, PAGE_SIZE, &end) ||
	    __builtin_add_overflow(end, e->vaddr, &end)) {
		pr_err("The run at 0x%" PRIx64 " of %" PRIu64
		       " pages goes beyond the address space",
		       e->vaddr, nr);
		return -1;
	}
	snprintf(left, sizeof(left), "%" PRIx64 " / %" PRIu64, e->vaddr, nr);
	while (r->vma < r->mm->n_vmas && r->mm->vmas[r->vma]->end <= e->vaddr)
		r->vma++;
	if (r->vma == r->mm->n_vmas || r->mm->vmas[r->vma]->start >= end)
		printf("\t%s\n", left); /* in no area at all */
	for (; r->vma < r->mm->n_vmas && r->mm->vmas[r->vma]->start < end; r->vma++) {
		if (show_vma(r, r->mm->vmas[r->vma], left))
			return -1;
		left[0] = 0;
		if (r->mm->vmas[r->vma]->end > end)
			break;
	}
	return 0;
}

static int task_rss(const struct checkpoint *ck, const PstreeEntry *task, void *arg)
{
	MmEntry *mm = checkpoint_mm(ck, task->pid);
	struct rss r = { .ck = ck, .mm = mm };
	int ret;

	if (!mm)
		return -1;
	printf("%u\n", task->pid);
	ret = checkpoint_each(ck, IMG_PAGEMAP, task->pid, show_run, &r);
	mm_entry__free_unpacked(mm, NULL);
	return ret;
}

/* ---- */

static int explore(struct checkpoint *ck, const char *what)
{
	if (!strcmp(what, "ps"))
		return x_ps(ck);
	if (!strcmp(what, "fds"))
		return checkpoint_each_alive(ck, task_fds, NULL);
	if (!strcmp(what, "mems"))
		return checkpoint_each_alive(ck, task_mems, NULL);
	if (!strcmp(what, "rss"))
		return checkpoint_each_alive(ck, task_rss, NULL);
	pr_err("crit x: %s is none of ps, fds, mems, rss, missing", what);
	return -1;
}

int cmd_x(int argc, char **argv)
{
	struct checkpoint ck = { .dir = -1 };
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: crit x DIR ps|fds|mems|rss|missing\n");
		return 1;
	}
	if (!strcmp(argv[2], "missing")) {
		ret = x_missing(argv[1]);
	} else {
		if (checkpoint_open(&ck, argv[1]))
			return 1;
		ret = explore(&ck, argv[2]);
		checkpoint_close(&ck);
	}
	if (fflush(stdout)) {
		pr_perror("Can't write the output");
		ret = -1;
	}
	return ret ? 1 : 0;
}
