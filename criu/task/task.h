/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tasks of an operation. dump fills these from the system, restore from the images; the protobuf
 * messages themselves are the common form of what is saved. Tasks are in pre-order: a parent before its children.
 */
#ifndef CRIU_TASK_TASK_H
#define CRIU_TASK_TASK_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "fs.pb-c.h"
#include "mm.pb-c.h"
#include "pstree.pb-c.h"

struct puppet;
struct op;
struct pagemap;

/* task_core_entry.task_state */
enum task_state {
	TASK_ALIVE = 1,
	TASK_DEAD = 2,
	TASK_STOPPED = 3,
	TASK_HELPER = 100 /* restore only: leaves no trace */
};

struct thread {
	pid_t tid;	 /* as criu sees it */
	pid_t vtid;	 /* in the root task's pid namespace: what images and file names use */
	bool stopped;	 /* dump: is in a stop that criu has seen */
	bool ended;	 /* dump: and has been waited for */
	CoreEntry *core; /* the leader's also has tc and (in memory) ids */
	struct puppet *puppet; /* NULL while it runs its own code */
	struct task *task;
};

struct vma {
	VmaEntry e; /* start, end, pgoff, shmid, prot, flags, status, fd (-1), madv, fdflags */
	uint32_t file_id;  /* files.img id of a mapped file, 0: none */
	bool bare;	   /* restore: has pages, but all are left to the lazy-pages daemon */
	bool inherited;	   /* restore: came with the fork, copy-on-write with the parent */
	bool uffd_foreign; /* dump: registered with a userfaultfd of the task's own */
	bool registered,
		tracked; /* dump: what is written to it is known (mem/track.h): from now on; since the parent link */
	bool has_pages;	   /* smaps-independent: may hold private pages that must be saved */
	uint64_t dev, ino; /* dump: of the mapped object */
};

struct task {
	TAILQ_ENTRY(task) link;
	struct task *parent; /* NULL for the root */
	pid_t pid, vpid;     /* see struct thread */
	pid_t ppid;	     /* dump: as criu sees it */
	uint64_t start_time; /* dump: clock ticks after boot */
	pid_t pgid, sid;     /* in the root task's pid namespace; 0: outside of it */
	enum task_state state;
	int stop_signo;		/* TASK_STOPPED */
	int exit_code;		/* TASK_DEAD: wait status */
	int exit_signal;	/* dump */
	unsigned warned;	/* dump: task/unsaved.c */
	struct thread *threads; /* [0] is the leader; a zombie has one without puppet */
	unsigned nr_threads;
	int pidfd; /* -1 where not opened */
	int proc;  /* /proc/PID, -1 where not opened */

	TaskKobjIdsEntry *ids;
	MmEntry *mm;
	FsEntry *fs;
	struct vma *vmas; /* sorted */
	size_t nr_vmas;

	struct pagemap *pages; /* restore */
	FdinfoEntry **fds;     /* restore: what fdinfo-<files_id>.img says */
	size_t nr_fds;
	uint64_t nr_lazy; /* pages left to userfaultfd */
	int uffd; /* restore: the lazy pages'; dump: the one that tracks writes; -1 where none */
	bool tracked; /* dump: ... does so since the parent link */
};
TAILQ_HEAD(task_list, task);

static inline struct thread *leader(struct task *t)
{
	return &t->threads[0];
}
static inline bool task_alive(const struct task *t)
{
	return t->state == TASK_ALIVE || t->state == TASK_STOPPED;
}

#define for_each_task(t, op) TAILQ_FOREACH (t, &(op)->tasks, link)
#define for_each_live_task(t, op)             \
	TAILQ_FOREACH (t, &(op)->tasks, link) \
		if (task_alive(t))
#define for_each_thread(th, t) \
	for (struct thread *th = (t)->threads; th < (t)->threads + (t)->nr_threads; th++)

struct task *task_find(struct op *op, pid_t vpid);

#endif
