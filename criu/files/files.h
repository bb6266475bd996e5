/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Open files: descriptions (struct file), the table of kinds, and how both stories use them.
 *
 * A file *description* (what open(2) calls an open file description) is saved once, as one file_entry of files.img,
 * and opened once, by criu. A *descriptor* (number in a table) refers to it: fdinfo-<files_id>.img.
 * Each kind (regular file, pipe, eventfd...) is one .c file here with one struct file_kind, listed in kinds.c.
 *
 * dump: every descriptor is copied into criu with pidfd_getfd(2); equal descriptions are found by
 *	 (st_dev, st_ino, flags, pos) and then kcmp(2), in logarithmic time. No code runs in the task.
 * restore: kinds open their descriptions in criu; files_install() hands them to the puppets over a socket
 *	 (SCM_RIGHTS); finish() does what only the task itself can do (epoll_ctl, F_SETOWN, locks).
 */
#ifndef CRIU_FILES_FILES_H
#define CRIU_FILES_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "fdinfo.pb-c.h"
#include "op.h"

/* What dump knows of a descriptor before its kind is known. */
struct fd_probe {
	struct op *op;
	struct task *task;
	int fd; /* number in the task; -1: not a descriptor (exe, cwd, root, mapped file) */
	int lfd; /* criu's own copy (O_PATH for cwd, root and mapped files where that is all one gets) */
	struct stat st;
	struct statfs fs; /* f_type 0 where fstatfs failed */
	char *link; /* what /proc/PID/fd/N points to: path, "pipe:[123]", "anon_inode:[eventpoll]" */
	char *fdinfo; /* text of /proc/PID/fdinfo/N, "" where there is none */
	uint64_t pos;
	unsigned flags; /* open flags (octal "flags:" of fdinfo, without O_CLOEXEC) */
	int mnt_id;
	bool cloexec;
};

struct file_kind;

/* restore: when descriptions of a kind are opened */
enum open_when {
	OPEN_FIRST,	 /* before any task exists */
	OPEN_WITH_TASKS, /* when the tasks exist, and do a part of it themselves */
	OPEN_LAST,	 /* after all others, whose making it must not see */
};

/* One open file description. */
struct file {
	uint32_t id;
	FileEntry *entry; /* owned */
	const struct file_kind *kind;
	int fd; /* criu's: dump: kept where the kind asks (keep_fd); restore: once opened; else -1 */
	void *priv; /* the kind's own, freed with free() */
	struct op *op;
	enum open_when when; /* restore: the kind's, unless it knows better */
	struct task *holder; /* restore: the first live task that has it; NULL: none */
	bool used;	     /* restore: some descriptor of a live task refers to it */
	bool finished;	     /* restore: the kind's finish() was called */
};

struct file_kind {
	const char *name; /* for messages: "eventfd" */
	FdTypes type;
	bool keep_fd;	     /* dump: file->fd stays open until the end (dump_all needs it) */
	enum open_when when; /* restore */
	/* dump: is it ours? First match in the order of kinds.c. */
	bool (*recognise)(const struct fd_probe *p);
	/* dump: fill f->entry (type and id are set; allocate the kind's message). -1: logged, naming pid, fd and what it is. */
	int (*dump)(struct op *op, const struct fd_probe *p, struct file *f);
	/* dump: after all descriptors of all tasks are known: contents and cross references (pipes-data, sk-queues). NULL: none. */
	int (*dump_all)(struct op *op);
	/* restore: after files.img was read: other images of this kind; checks. Before any task exists. NULL: none. */
	int (*collect)(struct op *op);
	/* restore: make f->fd in criu, with everything that the description carries (flags, position, contents). */
	int (*open)(struct op *op, struct file *f);
	/* restore: once, after all descriptions that are opened at the same time. NULL: none. */
	int (*opened)(struct op *op);
	/* restore: in the task, once per description, after the whole table of the first task that has it is in place. NULL: none. */
	int (*finish)(struct op *op, struct task *t, struct file *f, int fd);
	/* restore: a fresh descriptor with OPEN_FLAGS for a mapping, exe, cwd or root. NULL: cannot be mapped. */
	int (*open_mapped)(struct op *op, struct file *f, unsigned open_flags);
	/* both: frees what the kind keeps in the table. NULL: nothing. */
	void (*free)(struct op *op);
};

extern const struct file_kind *const file_kinds[]; /* kinds.c, NULL-terminated */

/* ---- dump (files/dump.c) ---- */
/* All descriptors of all live tasks, cwd, root (t->fs), and what files_dump_vma() named: into images. Tasks are stopped. */
int files_dump(struct op *op);
/* A mapped file or the executable: LFD is any descriptor of it (from /proc/PID/map_files or exe), LINK its path as the task
 * sees it. *ID: the files.img id. OPEN_FLAGS: O_RDONLY, or O_RDWR for a shared writable mapping. */
int files_dump_mapped(struct op *op, struct task *t, int lfd, const char *link, unsigned open_flags,
		      uint32_t *id);
/* Called first in dump: makes op->files. */
int files_init(struct op *op);
void files_free(struct op *op);

/* ---- restore (files/restore.c) ---- */
/* Reads files.img, fdinfo-*.img and what the kinds keep; checks references. Nothing is created yet. */
int files_collect(struct op *op);
struct file *file_by_id(struct op *op, uint32_t id); /* NULL where unknown */
/* Opens the descriptions that some live task refers to, but those that need the tasks: the first files_install() does these. */
int files_open(struct op *op);
/* A fresh descriptor for a mapped file, exe, cwd, root: to be closed by the caller. -1: logged. */
int file_open_mapped(struct op *op, uint32_t id, unsigned open_flags);
/* A number that is free in T's table and stays so: where its transport socket may be until files_install() has run. */
int files_free_slot(struct op *op, struct task *t);
/* Fills T's table: the puppet has only the transport socket SOCK_FD (its number in the task) open; on return exactly what fdinfo
 * says, the socket is closed in the task, the kinds' finish() is done, and root and cwd are set (their descriptors come over
 * the same socket). LOCAL_SOCK is criu's end, and stays open. Where several tasks share one table (equal files_id) all of them
 * must be puppets by then; the first fills it, for the others this does nothing. */
int files_install(struct op *op, struct task *t, int local_sock, int sock_fd);
/* The last thing before the tasks run: TCP connections (--tcp-established) go on. 0, also where one cannot (logged): it is too late to fail. */
int files_resume_network(struct op *op);
/*
 * The same by lazy-pages, where restore was killed before it was through with it: for the tasks of PIDFDS, the root first, whose pid in the images is
 * ROOT_ID. What cannot be done is logged. May be done again.
 */
void tcp_adopt_orphans(int images, unsigned long root_id, const int *pidfds, size_t nr);
/* umask of T (through its puppet); root and cwd came with files_install(). */
int files_restore_fs(struct op *op, struct task *t);
/* After all tasks are installed: closes criu's copies, removes temporary names (ghost files). Also the undo. */
void files_cleanup(struct op *op);

/* "fd[N]:RESOURCE", an argument of --inherit-fd: the resource, and *FD = N. NULL: it is not of this form. */
const char *inherit_fd_parse(const char *arg, int *fd);

/* ---- helpers for kinds ---- */
const char *fdinfo_field(const char *fdinfo, const char *key); /* value after "key:\t", or NULL */
FownEntry *fown_dump(const struct fd_probe *p); /* F_GETOWN_EX, F_GETSIG, F_GETOWNER_UIDS */
int fown_restore(struct task *t, int fd,
		 const FownEntry *e); /* through the puppet; no call where there is no owner */
int fd_restore_flags(int fd,
		     unsigned flags); /* O_NONBLOCK, O_APPEND, O_ASYNC, O_DIRECT by F_SETFL */

#endif
