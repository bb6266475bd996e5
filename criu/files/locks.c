// SPDX-License-Identifier: GPL-2.0-only
/*
 * File locks: flock(2), POSIX and open-file-description locks (fcntl(2)). The kernel lists those of a descriptor in its fdinfo,
 * "lock:\t1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF". Image: filelocks.img. Tasks that hold locks are only dumped with
 * --file-locks: another process may be given the lock while nobody holds it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "files/table.h"
#include "remote/puppet.h"
#include "util/log.h"

/* file_lock_entry.flag: the kernel's FL_* */
enum { LOCK_POSIX = 1, LOCK_FLOCK = 2, LOCK_LEASE = 32, LOCK_OFD = 1024 };

struct locks {
	FileLockEntry **v;
	uint32_t *file_ids; /* dump: whose lock it is, so that a shared one is saved once */
	size_t nr, cap, ids_cap;
};

static struct locks *locks(struct op *op)
{
	if (!op->files->locks)
		op->files->locks = xzalloc(sizeof(struct locks));
	return op->files->locks;
}

/* One line of fdinfo after "lock:". False: not understood, or of a kind that we do not know (flag 0). */
bool lock_parse(const char *line, FileLockEntry *e)
{
	char kind[16], how[16], what[16], end[32];
	int pid;

	e->flag = 0;
	if (sscanf(line, " %*d: %15s %15s %15s %d %*x:%*x:%*u %ld %31s", kind, how, what, &pid,
		   &e->start, end) != 6)
		return false;
	e->flag = !strcmp(kind, "FLOCK")    ? LOCK_FLOCK
		  : !strcmp(kind, "POSIX")  ? LOCK_POSIX
		  : !strcmp(kind, "OFDLCK") ? LOCK_OFD
					    : 0;
	e->type = !strcmp(what, "READ") ? F_RDLCK : F_WRLCK;
	e->len = strcmp(end, "EOF") ? atoll(end) - e->start + 1 : 0;
	e->pid = pid;
	return e->flag && (!strcmp(how, "ADVISORY") || !strcmp(how, "MANDATORY"));
}

static int add_lock(struct op *op, const struct fd_probe *p, struct file *f, const char *line)
{
	FileLockEntry *e = NEW_MSG(FileLockEntry, file_lock_entry);
	struct locks *ls = locks(op);

	if (!e || !ls)
		return -1;
	if (!lock_parse(line, e)) {
		pr_err("Task %d fd %d has a lock of a kind that is not supported: %.*s",
		       p->task->vpid, p->fd, (int)strcspn(line, "\n"), line);
		free(e);
		return -1;
	}
	if (!opts.file_locks) {
		pr_err("Task %d holds a %s lock on fd %d: --file-locks saves it", p->task->vpid,
		       e->flag == LOCK_FLOCK   ? "flock"
		       : e->flag == LOCK_POSIX ? "POSIX"
					       : "OFD",
		       p->fd);
		free(e);
		return -1;
	}
	e->pid = p->task->vpid;
	e->fd = p->fd;
	/* flock and OFD locks belong to the description: once is enough. POSIX locks show under each descriptor of the same description */
	for (size_t i = 0; i < ls->nr; i++)
		if (ls->file_ids[i] == f->id && ls->v[i]->flag == e->flag &&
		    ls->v[i]->start == e->start && ls->v[i]->len == e->len &&
		    (e->flag != LOCK_POSIX || ls->v[i]->pid == e->pid)) {
			free(e);
			return 0;
		}
	if (xgrow(&ls->v, &ls->cap, ls->nr, sizeof(*ls->v)) ||
	    xgrow(&ls->file_ids, &ls->ids_cap, ls->nr, sizeof(*ls->file_ids))) {
		free(e);
		return -1;
	}
	ls->file_ids[ls->nr] = f->id;
	ls->v[ls->nr++] = e;
	return 0;
}

int locks_dump_fd(struct op *op, const struct fd_probe *p, struct file *f)
{
	for (const char *s = p->fdinfo; s && *s; s = strchr(s, '\n'), s += s ? 1 : 0)
		if (!strncmp(s, "lock:", 5) && add_lock(op, p, f, s + 5))
			return -1;
	return 0;
}

int locks_write(struct op *op)
{
	struct locks *ls = op->files->locks;
	struct image *img;
	int ret = 0;

	if (!ls || !ls->nr)
		return 0;
	img = image_create(op->images, IMG_FILE_LOCKS, 0);
	if (!img)
		return -1;
	for (size_t i = 0; i < ls->nr && !ret; i++)
		ret = image_write(img, &ls->v[i]->base);
	return image_close(img) || ret ? -1 : 0;
}

/* ---- restore ---- */

int locks_collect(struct op *op)
{
	struct image *img = image_open(op->images, IMG_FILE_LOCKS, 0, false);
	struct locks *ls = locks(op);
	FileLockEntry *e;
	int ret;

	if (!img || !ls)
		return ls && errno == ENOENT ? 0 : -1;
	while ((ret = image_read_as(img, &e)) > 0) {
		struct task *t = task_find(op, e->pid);

		if (xgrow(&ls->v, &ls->cap, ls->nr, sizeof(*ls->v))) {
			file_lock_entry__free_unpacked(e, NULL);
			ret = -1;
			break;
		}
		ls->v[ls->nr++] = e;
		if (!t || !task_alive(t)) {
			pr_err("filelocks.img: a lock of task %d, which is not there", e->pid);
			ret = -1;
			break;
		}
		if (e->flag != LOCK_FLOCK && e->flag != LOCK_POSIX && e->flag != LOCK_OFD) {
			pr_err("filelocks.img: locks with flags 0x%x are not supported", e->flag);
			ret = -1;
			break;
		}
	}
	image_close(img);
	return ret;
}

static int take_lock(struct task *t, const FileLockEntry *e)
{
	struct puppet *p = leader(t)->puppet;
	struct flock fl = {
		.l_type = e->type, .l_whence = SEEK_SET, .l_start = e->start, .l_len = e->len
	};
	long ret;

	prog_reset(p);
	if (e->flag == LOCK_FLOCK)
		ret = puppet_call(p, __NR_flock, e->fd,
				  LOCK_NB | (e->type == F_RDLCK ? LOCK_SH : LOCK_EX));
	else
		ret = puppet_call(p, __NR_fcntl, e->fd, e->flag == LOCK_OFD ? F_OFD_SETLK : F_SETLK,
				  prog_buf(p, &fl, sizeof(fl)));
	if (ret >= 0)
		return 0;
	errno = -ret;
	pr_perror("Task %d can't have its lock on fd %d again", t->vpid, e->fd);
	return -1;
}

int locks_install(struct op *op, struct task *t)
{
	struct locks *ls = op->files->locks;

	for (size_t i = 0; ls && i < ls->nr; i++) {
		struct task *owner = task_find(op, ls->v[i]->pid);

		if (owner && table_owner(op, owner) == t && take_lock(owner, ls->v[i]))
			return -1;
	}
	return 0;
}

void locks_free(struct op *op)
{
	struct locks *ls = op->files->locks;

	if (!ls)
		return;
	for (size_t i = 0; i < ls->nr; i++)
		file_lock_entry__free_unpacked(ls->v[i], NULL);
	free(ls->v);
	free(ls->file_ids);
	free(ls);
	op->files->locks = NULL;
}
