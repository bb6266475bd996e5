// SPDX-License-Identifier: GPL-2.0-only
/* Owners of descriptions: who gets SIGIO (fcntl(2): F_SETOWN_EX, F_SETSIG), and flags that are set after opening. Message: fown_entry. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "files/table.h"
#include "remote/puppet.h"
#include "util/log.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif
#define SETTABLE_FLAGS (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

/* The owner as the images name it: a pid of the tree, or 0 where it is none of ours. */
static pid_t owner_vpid(struct op *op, int type, pid_t pid)
{
	struct task *t;

	if (!pid)
		return 0;
	for_each_task (t, op) {
		if (type == F_OWNER_PGRP && t->parent == NULL && getpgid(t->pid) == pid)
			return t->pgid;
		for_each_thread (th, t)
			if (th->tid == pid)
				return th->vtid;
	}
	return 0;
}

FownEntry *fown_dump(const struct fd_probe *p)
{
	FownEntry *e = NEW_MSG(FownEntry, fown_entry);
	struct f_owner_ex owner;
	uint32_t uids[2];

	/* mapped files have no descriptor, and bare paths no owner */
	if (!e || p->fd < 0 || (p->flags & O_PATH))
		return e;
	if (fcntl(p->lfd, F_GETOWN_EX, &owner)) {
		pr_perror("Can't get the owner of %s", probe_name(p));
		free(e);
		return NULL;
	}
	e->signum = fcntl(p->lfd, F_GETSIG);
	if (!owner.pid)
		return e;
	if (fcntl(p->lfd, F_GETOWNER_UIDS, uids)) {
		pr_perror("Can't get the owner of %s", probe_name(p));
		free(e);
		return NULL;
	}
	e->uid = uids[0];
	e->euid = uids[1];
	e->pid_type = owner.type;
	e->pid = p->op ? owner_vpid(p->op, owner.type, owner.pid) : owner.pid;
	return e;
}

/* Where each kind of entry keeps its owner and flags. */
static const FownEntry *entry_fown(const FileEntry *e, uint32_t *flags)
{
#define FROM(field)                               \
	do {                                      \
		if (e->field) {                   \
			*flags = e->field->flags; \
			return e->field->fown;    \
		}                                 \
	} while (0)
	FROM(reg);
	FROM(pipe);
	FROM(efd);
	FROM(epfd);
	FROM(sgfd);
	FROM(tfd);
	FROM(ify);
	FROM(memfd);
	FROM(usk);
	FROM(isk);
	FROM(nlsk);
	FROM(tty);
	FROM(pidfd);
#undef FROM
	return NULL;
}

int fown_restore(struct task *t, int fd, const FownEntry *e)
{
	struct puppet *p = leader(t)->puppet;
	struct f_owner_ex owner = { .type = e->pid_type, .pid = e->pid };

	prog_reset(p);
	if (e->pid) {
		/* the kernel keeps the caller's ids, and checks them when it sends the signal */
		if (e->uid || e->euid)
			prog_add(p, RC_STOP, __NR_setresuid, e->uid, e->euid, -1);
		prog_add(p, RC_STOP, __NR_fcntl, fd, F_SETOWN_EX,
			 prog_buf(p, &owner, sizeof(owner)));
		if (e->uid || e->euid)
			prog_add(p, RC_STOP, __NR_setresuid, 0, 0, -1);
	}
	if (e->signum)
		prog_add(p, RC_STOP, __NR_fcntl, fd, F_SETSIG, e->signum);
	return p->nr_calls ? prog_run(p) : 0;
}

int fown_finish(struct op *op, struct task *t, struct file *f, int fd)
{
	uint32_t flags = 0;
	const FownEntry *e = entry_fown(f->entry, &flags);

	if (!e)
		return 0;
	if ((e->pid || e->signum) && fown_restore(t, fd, e))
		return -1;
	/* the signal carries the number by which this was switched on: the task does it */
	if (!(flags & O_ASYNC) || (flags & O_PATH))
		return 0;
	prog_reset(leader(t)->puppet);
	prog_add(leader(t)->puppet, RC_STOP, __NR_fcntl, fd, F_SETFL,
		 flags & (SETTABLE_FLAGS | O_ASYNC));
	return prog_run(leader(t)->puppet);
}

int fd_restore_flags(int fd, unsigned flags)
{
	if (!fcntl(fd, F_SETFL, flags & SETTABLE_FLAGS))
		return 0;
	pr_perror("Can't set flags 0%o", flags);
	return -1;
}
