// SPDX-License-Identifier: GPL-2.0-only
/*
 * inotify(7). Message: inotify_file_entry, with one inotify_wd_entry per watch.
 *
 * The kernel tells inode and file handle of what is watched (fdinfo), not the path. The path is found at dump by opening the
 * handle in a mount of the same device (open_by_handle_at(2)); restore watches that path. Where a file system knows no handles,
 * the directories and files that the tree has open or works in are looked through.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "files/kinds.h"
#include "proc/proc.h"
#include "util/io.h"
#include "util/log.h"

#define HANDLE_WORDS FH_ENTRY_SIZES__min_entries
#define HANDLE_BYTES (HANDLE_WORDS * 8)
#define MAX_WD	     (1 << 20) /* how far restore goes to get a watch descriptor's number again */

static bool inotify_recognise(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:inotify");
}

/* ---- dump ---- */

static int parse_handle(const char *hex, FhEntry *h)
{
	unsigned char *bytes = (unsigned char *)h->handle;

	for (uint32_t i = 0; i < h->bytes; i++) {
		unsigned byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return -1;
		bytes[i] = byte;
	}
	return 0;
}

/* "inotify wd:1 ino:1 sdev:fe00000 mask:300 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:01..." */
InotifyWdEntry *inotify_parse(const char *line)
{
	InotifyWdEntry *e = NEW_MSG(InotifyWdEntry, inotify_wd_entry);
	FhEntry *h = e ? e->f_handle = NEW_MSG(FhEntry, fh_entry) : NULL;
	int at = 0;

	if (!h || !(h->handle = xcalloc(HANDLE_WORDS, sizeof(*h->handle))))
		goto fail;
	h->n_handle = HANDLE_WORDS;
	if (sscanf(line, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:%x %n", &e->wd,
		   &e->i_ino, &e->s_dev, &e->mask, &e->ignored_mask, &at) != 5 ||
	    !at)
		goto bad;
	/* file systems without handles have no more on the line */
	if (sscanf(line + at, "fhandle-bytes:%x fhandle-type:%x f_handle:%n", &h->bytes, &h->type,
		   &(int){ 0 }) == 2) {
		const char *hex = strstr(line + at, "f_handle:");

		if (!hex || h->bytes > HANDLE_BYTES || parse_handle(hex + 9, h))
			goto bad;
	}
	return e;
bad:
	pr_err("Can't understand the inotify watch \"%.*s\"", (int)strcspn(line, "\n"), line);
fail:
	if (e)
		inotify_wd_entry__free_unpacked(e, NULL);
	return NULL;
}

struct mount_search {
	uint32_t dev;
	const InotifyWdEntry *wd;
	char *path;
	struct op *op;
	struct task *task;
};

/* Opens the handle in this mount, where it is of the right device; its path. */
static int try_mount(const struct proc_mount *m, void *arg)
{
	struct mount_search *s = arg;
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + HANDLE_BYTES];
	} u;
	cleanup_close int mnt = -1, fd = -1;
	char self[32];

	if ((m->dev_major << 20 | m->dev_minor) != s->dev)
		return 0;
	mnt = file_path_open(s->op, s->task, m->mountpoint, O_RDONLY | O_NONBLOCK);
	if (mnt < 0)
		return 0;
	u.h.handle_bytes = s->wd->f_handle->bytes;
	u.h.handle_type = s->wd->f_handle->type;
	memcpy(u.h.f_handle, s->wd->f_handle->handle, u.h.handle_bytes);
	fd = open_by_handle_at(mnt, &u.h, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	s->path = readlink_at(AT_FDCWD, self);
	return s->path ? 1 : 0;
}

/* Does PATH lead to the watched inode? (Some file systems show other device numbers to stat(2): a handle does not need that check.) */
static bool leads_to(struct op *op, struct task *t, const char *path, const InotifyWdEntry *e,
		     bool check_dev)
{
	struct stat st;

	return !file_path_at(op, t, path, &st) && st.st_ino == e->i_ino &&
	       (!check_dev || image_dev(st.st_dev) == e->s_dev);
}

/* Among what the tree has open, by path. */
static char *path_among_files(struct op *op, struct task *t, const InotifyWdEntry *e)
{
	for (size_t i = 0; i < op->files->nr; i++) {
		RegFileEntry *reg = op->files->v[i]->entry->reg;

		if (reg && reg->name && leads_to(op, t, reg->name, e, true))
			return xstrdup(reg->name);
	}
	return NULL;
}

static int find_path(struct op *op, struct task *t, InotifyWdEntry *e)
{
	struct mount_search s = { .dev = e->s_dev, .wd = e, .op = op, .task = t };
	cleanup_free char *cwd = readlink_at(t->proc, "cwd");

	if (e->f_handle->bytes && proc_read_mountinfo(t->proc, "mountinfo", try_mount, &s) < 0)
		return -1;
	if (s.path && !leads_to(op, t, s.path, e, false)) {
		free(s.path);
		s.path = NULL;
	}
	if (!s.path && cwd && leads_to(op, t, cwd, e, true))
		s.path = move_ptr(cwd);
	e->f_handle->path = s.path ?: path_among_files(op, t, e);
	if (e->f_handle->path)
		return 0;
	pr_err("Task %d: can't find the path of what inotify watches (inode %lu, device %u:%u, "
	       "watch %u)",
	       t->vpid, e->i_ino, e->s_dev >> 20, e->s_dev & 0xfffff, e->wd);
	return -1;
}

static int inotify_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	InotifyFileEntry *e = f->entry->ify = NEW_MSG(InotifyFileEntry, inotify_file_entry);
	size_t cap = 0;
	int queued = 0;

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	e->id = f->id;
	e->flags = p->flags;
	for (const char *s = p->fdinfo; s && *s; s = strchr(s, '\n'), s += s ? 1 : 0) {
		if (strncmp(s, "inotify ", 8))
			continue;
		if (xgrow(&e->wd, &cap, e->n_wd, sizeof(*e->wd)) ||
		    !(e->wd[e->n_wd] = inotify_parse(s)))
			return -1;
		if (find_path(op, p->task, e->wd[e->n_wd++]))
			return -1;
	}
	if (!ioctl(p->lfd, FIONREAD, &queued) && queued)
		pr_warn("%s: %d bytes of inotify events that were not read yet are lost",
			probe_name(p), queued);
	return 0;
}

/* ---- restore ---- */

static int inotify_collect(struct op *op)
{
	struct stat st;

	for (size_t i = 0; i < op->files->nr; i++) {
		InotifyFileEntry *e = op->files->v[i]->entry->ify;

		for (size_t k = 0; e && k < e->n_wd; k++) {
			const char *path = e->wd[k]->f_handle->path;

			if (!path) {
				pr_err("inotify %u: watch %u (inode %lu) has no path in the images",
				       e->id, e->wd[k]->wd, e->wd[k]->i_ino);
				return -1;
			}
			if (lstat(path, &st)) {
				pr_perror("Can't find %s, which inotify watched", path);
				return -1;
			}
		}
	}
	return 0;
}

static int order_watches(const void *a, const void *b)
{
	int x = (*(InotifyWdEntry *const *)a)->wd, y = (*(InotifyWdEntry *const *)b)->wd;

	return x < y ? -1 : x > y;
}

/* The kernel counts upwards: numbers that were removed before are gone through again. */
static int add_watch(int fd, const InotifyWdEntry *e)
{
	const char *path = e->f_handle->path;
	uint32_t mask = e->mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK | IN_DONT_FOLLOW);
	int wd;

	/* a watched symbolic link was named with IN_DONT_FOLLOW, which the mask does not keep; for others it changes nothing */
	while ((wd = inotify_add_watch(fd, path, mask | IN_DONT_FOLLOW)) >= 0 && wd < (int)e->wd &&
	       e->wd < MAX_WD)
		inotify_rm_watch(fd, wd);
	if (wd < 0) {
		pr_perror("Can't watch %s by inotify", path);
		return -1;
	}
	if (wd != (int)e->wd) {
		pr_err("Can't have watch descriptor %u again for %s (got %d)", e->wd, path, wd);
		return -1;
	}
	return 0;
}

static int inotify_open(struct op *op, struct file *f)
{
	InotifyFileEntry *e = f->entry->ify;
	char drain[4096];

	f->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (f->fd < 0) {
		pr_perror("Can't make inotify descriptor %u", f->id);
		return -1;
	}
	if (e->n_wd)
		qsort(e->wd, e->n_wd, sizeof(*e->wd), order_watches);
	for (size_t i = 0; i < e->n_wd; i++)
		if (add_watch(f->fd, e->wd[i]))
			return -1;
	/* going through numbers leaves IN_IGNORED events */
	while (read(f->fd, drain, sizeof(drain)) > 0)
		;
	return fd_restore_flags(f->fd, e->flags);
}

const struct file_kind inotify_kind = {
	.name = "inotify",
	.type = FD_TYPES__INOTIFY,
	.when = OPEN_LAST,
	.recognise = inotify_recognise,
	.dump = inotify_dump,
	.collect = inotify_collect,
	.open = inotify_open,
	.finish = fown_finish,
};
