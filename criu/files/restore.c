// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restore of descriptors: everything is read and checked first, descriptions are opened once by criu, and given to the
 * tasks by install.c.
 */
#include <fcntl.h>
#include <unistd.h>

#include "files/table.h"
#include "util/log.h"

#define MAX_FD (1U << 26)

static int order_files(const void *a, const void *b)
{
	uint32_t x = (*(struct file *const *)a)->id, y = (*(struct file *const *)b)->id;

	return x < y ? -1 : x > y;
}

struct file *file_by_id(struct op *op, uint32_t id)
{
	struct file key = { .id = id }, *pkey = &key, **found;

	if (!op->files->nr)
		return NULL;
	found = bsearch(&pkey, op->files->v, op->files->nr, sizeof(key.op->files->v[0]),
			order_files);
	return found ? *found : NULL;
}

/* The entry must have the message that its type promises. */
static bool entry_is_whole(const FileEntry *e)
{
	switch (e->type) {
	case FD_TYPES__REG:
		return e->reg;
	case FD_TYPES__PIPE:
		return e->pipe;
	case FD_TYPES__FIFO:
		return e->fifo;
	case FD_TYPES__INETSK:
		return e->isk;
	case FD_TYPES__UNIXSK:
		return e->usk;
	case FD_TYPES__EVENTFD:
		return e->efd;
	case FD_TYPES__EVENTPOLL:
		return e->epfd;
	case FD_TYPES__INOTIFY:
		return e->ify;
	case FD_TYPES__SIGNALFD:
		return e->sgfd;
	case FD_TYPES__TTY:
		return e->tty;
	case FD_TYPES__TIMERFD:
		return e->tfd;
	case FD_TYPES__MEMFD:
		return e->memfd;
	case FD_TYPES__PIDFD:
		return e->pidfd;
	case FD_TYPES__NETLINKSK:
		return e->nlsk;
	case FD_TYPES__EXT:
		return e->ext;
	default:
		return true;
	}
}

static int add_entry(struct op *op, FileEntry *e)
{
	struct file_table *ft = op->files;
	struct file *f = xzalloc(sizeof(*f));

	if (!f || xgrow(&ft->v, &ft->cap, ft->nr, sizeof(*ft->v))) {
		free(f);
		file_entry__free_unpacked(e, NULL);
		return -1;
	}
	f->id = e->id;
	f->entry = e;
	f->fd = -1;
	f->op = op;
	f->kind = file_kind_of(e->type);
	f->when = f->kind ? f->kind->when : OPEN_FIRST;
	ft->v[ft->nr++] = f;
	if (!entry_is_whole(e)) {
		pr_err("files.img: file %u of type %d has no description", e->id, e->type);
		return -1;
	}
	return 0;
}

static int read_files(struct op *op)
{
	struct image *img = image_open(op->images, IMG_FILES, 0, true);
	struct file_table *ft = op->files;
	FileEntry *e;
	int ret = 0;

	if (!img)
		return -1;
	while (!ret && (ret = image_read_as(img, &e)) > 0)
		ret = add_entry(op, e);
	image_close(img);
	if (ret)
		return -1;
	if (ft->nr)
		qsort(ft->v, ft->nr, sizeof(*ft->v), order_files);
	for (size_t i = 1; i < ft->nr; i++)
		if (ft->v[i]->id == ft->v[i - 1]->id) {
			pr_err("files.img: two files with id %u", ft->v[i]->id);
			return -1;
		}
	return 0;
}

static int check_descriptor(struct op *op, struct task *t, size_t i)
{
	const FdinfoEntry *e = t->fds[i];
	struct file *f = file_by_id(op, e->id);

	if (e->fd > MAX_FD || (i && t->fds[i - 1]->fd == e->fd)) {
		pr_err("fdinfo-%u.img: descriptor %u is there twice, or impossible",
		       t->ids->files_id, e->fd);
		return -1;
	}
	if (!f || f->entry->type != e->type) {
		pr_err("fdinfo-%u.img: descriptor %u refers to file %u, which files.img does not "
		       "have as such",
		       t->ids->files_id, e->fd, e->id);
		return -1;
	}
	if (!f->kind || !f->kind->open) {
		pr_err("Task %d fd %u is a file of type %s, which is not supported", t->vpid, e->fd,
		       protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, e->type)->name);
		return -1;
	}
	f->used = true;
	if (!f->holder)
		f->holder = t;
	return 0;
}

static int order_fds(const void *a, const void *b)
{
	uint32_t x = (*(FdinfoEntry *const *)a)->fd, y = (*(FdinfoEntry *const *)b)->fd;

	return x < y ? -1 : x > y;
}

static int read_table(struct op *op, struct task *t)
{
	struct image *img;
	FdinfoEntry *e;
	size_t cap = 0;
	int ret;

	if (!t->ids) {
		pr_err("Task %d has no ids: images older than version 1.1 are not supported",
		       t->vpid);
		return -1;
	}
	img = image_open(op->images, IMG_FDINFO, t->ids->files_id, true);
	if (!img)
		return -1;
	while ((ret = image_read_as(img, &e)) > 0) {
		if (xgrow(&t->fds, &cap, t->nr_fds, sizeof(*t->fds))) {
			fdinfo_entry__free_unpacked(e, NULL);
			ret = -1;
			break;
		}
		t->fds[t->nr_fds++] = e;
	}
	image_close(img);
	if (t->nr_fds)
		qsort(t->fds, t->nr_fds, sizeof(*t->fds), order_fds);
	for (size_t i = 0; i < t->nr_fds && !ret; i++)
		ret = check_descriptor(op, t, i);
	return ret;
}

int files_collect(struct op *op)
{
	struct task *t;

	if ((!op->files && files_init(op)) || read_files(op))
		return -1;
	for_each_live_task (t, op)
		if ((table_owner(op, t) == t && read_table(op, t)) || fs_collect(op, t))
			return -1;
	for (unsigned i = 0; file_kinds[i]; i++)
		if (file_kinds[i]->collect && file_kinds[i]->collect(op))
			return -1;
	return locks_collect(op);
}

static int open_when(struct op *op, enum open_when when)
{
	for (size_t i = 0; i < op->files->nr; i++) {
		struct file *f = op->files->v[i];

		if (!f->used || f->fd >= 0 || f->when != when)
			continue;
		if (file_is_given(op, f) ? file_open_given(op, f) : f->kind->open(op, f))
			return -1;
		pr_debug("File %u: %s opened", f->id, f->kind->name);
	}
	for (unsigned i = 0; file_kinds[i]; i++)
		if (file_kinds[i]->when == when && file_kinds[i]->opened &&
		    file_kinds[i]->opened(op))
			return -1;
	return 0;
}

int files_open(struct op *op)
{
	return open_when(op, OPEN_FIRST);
}

int files_open_late(struct op *op)
{
	return open_when(op, OPEN_WITH_TASKS) || open_when(op, OPEN_LAST) ? -1 : 0;
}

int file_open_mapped(struct op *op, uint32_t id, unsigned open_flags)
{
	struct file *f = file_by_id(op, id);

	if (f && f->kind && f->kind->open_mapped)
		return f->kind->open_mapped(op, f, open_flags);
	pr_err("File %u is mapped, but files.img has %s", id,
	       f ? "another kind of file there" : "no such file");
	return -1;
}

void files_cleanup(struct op *op)
{
	if (!op->files)
		return;
	if (!op->failed)
		ghosts_restored(op);
	files_free(op);
}
