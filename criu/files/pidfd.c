// SPDX-License-Identifier: GPL-2.0-only
/*
 * pidfd_open(2): descriptors that mean a process. Message: pidfd_entry; nspid is the process of the tree, or -1 for one that is gone.
 * Processes outside of the tree, and threads, are refused.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files/kinds.h"
#include "util/log.h"

static bool pidfd_recognise(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:[pidfd]") || !strncmp(p->link, "pidfd:", 6);
}

/* The process as the images name it. 0: refused, logged. */
static pid_t target_vpid(struct op *op, const struct fd_probe *p)
{
	const char *pid_text = fdinfo_field(p->fdinfo, "Pid");
	pid_t pid = pid_text ? atoi(pid_text) : 0;
	struct task *t;

	if (pid < 0)
		return -1;
	for_each_task (t, op)
		if (t->pid == pid)
			return t->vpid;
	pr_err("%s means process %d, which is outside of the tree (or a thread): not supported",
	       probe_name(p), pid);
	return 0;
}

static int pidfd_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	PidfdEntry *e = f->entry->pidfd = NEW_MSG(PidfdEntry, pidfd_entry);

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	e->id = f->id;
	e->ino = p->st.st_ino;
	e->flags = p->flags;
	e->nspid = target_vpid(op, p);
	return e->nspid ? 0 : -1;
}

static int pidfd_collect(struct op *op)
{
	for (size_t i = 0; i < op->files->nr; i++) {
		PidfdEntry *e = op->files->v[i]->entry->pidfd;

		if (!e || e->nspid == -1 || task_find(op, e->nspid))
			continue;
		pr_err("files.img: pidfd %u means task %d, which is not there", e->id, e->nspid);
		return -1;
	}
	return 0;
}

/* A process that ends at once: all that are gone look the same. */
static int open_dead(void)
{
	pid_t pid = fork();
	int fd;

	if (!pid)
		_exit(0);
	fd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (pid > 0)
		TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
	return fd;
}

static int pidfd_open_file(struct op *op, struct file *f)
{
	PidfdEntry *e = f->entry->pidfd;

	if (e->nspid == -1)
		f->fd = open_dead();
	else
		f->fd = syscall(SYS_pidfd_open, task_find(op, e->nspid)->pid, 0);
	if (f->fd < 0) {
		pr_perror("Can't open a pidfd of task %d", e->nspid);
		return -1;
	}
	return fd_restore_flags(f->fd, e->flags);
}

const struct file_kind pidfd_kind = {
	.name = "pidfd",
	.type = FD_TYPES__PIDFD,
	.when = OPEN_WITH_TASKS,
	.recognise = pidfd_recognise,
	.dump = pidfd_dump,
	.collect = pidfd_collect,
	.open = pidfd_open_file,
};
