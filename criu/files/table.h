/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kinds of files share among themselves: the table of descriptions of an operation, and the helpers
 * that a kind needs beside files.h. Used inside files/ only.
 */
#ifndef CRIU_FILES_TABLE_H
#define CRIU_FILES_TABLE_H

#include <bsd/sys/tree.h>
#include <linux/magic.h>

#include "file-lock.pb-c.h"
#include "files/files.h"
#include "image/image.h"
#include "util/xmalloc.h"

#define MQUEUE_MAGIC 0x19800202 /* ipc/mqueue.c */

struct known;
RB_HEAD(known_tree, known);

struct ghosts;
struct memfds;
struct pipes;
struct unix_socks;
struct inet_socks;
struct sk_queues;
struct ttys;
struct locks;
struct diag;

struct file_table {
	struct file **v; /* sorted by id once complete */
	size_t nr, cap;
	uint32_t last_id; /* dump: ids count from 1 */

	/* dump */
	bool dumping;
	struct known_tree known; /* descriptions that were met, in the order of struct known_key */
	struct task *view_task;	 /* the task that view_root is for */
	int view_root;		 /* its mount namespace's root, or AT_FDCWD where it is criu's */

	/* restore: the socket that leads into the task whose table is being filled */
	struct install {
		struct task *task;
		int local, remote;
	} install;
	bool opened_late;

	/* the kinds' own */
	struct ghosts *ghosts;
	struct memfds *memfds;
	struct pipes *pipes;
	struct unix_socks *unix_socks;
	struct inet_socks *inet_socks;
	struct sk_queues *queues;
	struct ttys *ttys;
	struct locks *locks;
	struct sock_defaults *sock_defaults;
	struct diag *diag; /* dump: of the network namespace with inode diag_ns */
	ino_t diag_ns;
	struct task *diag_task; /* who asked last */
};

/* A new entry message, initialised: NEW_MSG(RegFileEntry, reg_file_entry). NULL: out of memory, logged. */
#define NEW_MSG(type, name)                \
	({                                 \
		type *__m;                 \
		PB_NEW(__m, name##__init); \
	})

const struct file_kind *file_kind_of(FdTypes type); /* NULL where we have none */

/* ---- dump ---- */
/* A new description with a fresh id and an empty entry of TYPE, appended to the table. NULL: logged. */
struct file *file_new(struct op *op, FdTypes type);
/* A descriptor of criu itself (SELF), which stays open: its description's id, found or new. -1: logged. */
int files_dump_own(struct op *op, struct task *self, int fd, uint32_t *id);
/* The first description with inode INO that MATCH finds to be the one, given a descriptor (FD of PID) of it. */
struct file *file_search(struct op *op, uint64_t ino,
			 bool (*match)(pid_t pid, int fd, const void *arg), const void *arg);

/* ---- probe.c ---- */
/* T's descriptor FD: copies it, and all that is known of it but link and fs. -1: logged; -2: it is gone. */
int probe_fd(struct fd_probe *p, struct task *t, int fd);
int probe_link(struct fd_probe *p); /* fills link and fs */
void probe_free(struct fd_probe *p);
/* "task 12 fd 5 (/tmp/x)": for messages, in a static buffer. */
const char *probe_name(const struct fd_probe *p);
/* The number after KEY in fdinfo text (base as in strtoull). False where KEY is not there. */
bool fdinfo_number(const char *fdinfo, const char *key, int base, uint64_t *value);
int task_proc(struct task *t); /* t->proc, opened if need be; -1: logged */

/* ---- path.c ---- */
/*
 * The one place that knows how a path in an image becomes a file. lstat of PATH as the mount namespace of T has it
 * (dump). 0, or -1 with errno.
 */
int file_path_at(struct op *op, struct task *t, const char *path, struct stat *st);
/* dump: descriptor (O_PATH or FLAGS) of PATH in T's mount namespace; -1 with errno. */
int file_path_open(struct op *op, struct task *t, const char *path, int flags);
/* restore: opens PATH of an image. -1 with errno. */
int file_open_path(struct op *op, const char *path, int flags, mode_t mode);
/* The kernel's form of a device number as images have it: major << 20 | minor. */
uint32_t image_dev(dev_t dev);
/* Opens again what FD is, with other FLAGS, through /proc/self/fd. -1 with errno. */
int reopen_fd(int fd, int flags);

/* ---- reg.c, ghost.c ---- */
/* dump: fills a REG entry for P in F (also for FIFOs and devices): name, size, ghost where it has no name. */
int reg_dump_entry(struct op *op, const struct fd_probe *p, struct file *f);
/* restore: opens what a REG entry means with FLAGS. -1: logged. */
int reg_open_entry(struct op *op, struct file *f, int flags);
/* dump: LINK of P leads nowhere, or elsewhere: saves the file itself, or refuses. STATE as from path_state(). */
int ghost_dump(struct op *op, const struct fd_probe *p, struct file *f, bool other_there);
int ghosts_dump_all(struct op *op);
int ghost_collect(struct op *op);
void ghosts_restored(struct op *op); /* a restore succeeded: temporary names go */
/* restore: true where file id ID has no name of its own; *FD: an open descriptor of it (kept by the room), made at first use. -1: logged. */
int ghost_open(struct op *op, struct file *f, int *fd);
bool ghost_is(struct op *op, uint32_t id);
void ghosts_free(struct op *op);

/* ---- fown.c ---- */
int fown_finish(struct op *op, struct task *t, struct file *f, int fd);

/* ---- external.c ---- */
/* restore: true where the user hands in this description (--inherit-fd, --external). */
bool file_is_given(struct op *op, struct file *f);
/* Opens such a one: f->fd. -1: logged. */
int file_open_given(struct op *op, struct file *f);

/* ---- restore.c ---- */
int files_open_late(struct op *op); /* what files_open() left */

/* ---- install.c ---- */
/* Puts criu's FD into the task that is being installed, at its lowest free number. That number, or -1 logged. */
int install_fd(struct op *op, struct task *t, int fd);
/* The task that fills the table T uses: the first one with its files_id. */
struct task *table_owner(struct op *op, struct task *t);

/* ---- locks.c ---- */
int locks_dump_fd(struct op *op, const struct fd_probe *p, struct file *f);
int locks_write(struct op *op);
int locks_collect(struct op *op);
int locks_install(struct op *op, struct task *t);
void locks_free(struct op *op);

/* ---- tty_open.c ---- */
int ttys_install(struct op *op, struct task *t); /* T takes its controlling terminal */

/* ---- pure parts, for the unit tests ---- */
EventpollTfdEntry *epoll_parse(const char *line);    /* a "tfd:" line of fdinfo; NULL: logged */
InotifyWdEntry *inotify_parse(const char *line);     /* an "inotify" line */
bool lock_parse(const char *line, FileLockEntry *e); /* the rest of a "lock:" line */
/* The numbers that NR received descriptors get in a table that holds SOCK and FDS[0..DONE) (sorted). */
void install_landings(FdinfoEntry *const *fds, size_t done, size_t nr, int sock, int *landings);

/* ---- fs.c ---- */
int fs_dump(struct op *op, struct task *t);
int fs_collect(struct op *op, struct task *t);
int fs_install(struct op *op, struct task *t); /* root and cwd, while the socket is there */

#endif
