// SPDX-License-Identifier: GPL-2.0-only
/* signalfd(2): a set of signals. Message: signalfd_entry. */
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/kinds.h"
#include "util/log.h"

static bool signalfd_recognise(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:[signalfd]");
}

static int signalfd_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	SignalfdEntry *e = f->entry->sgfd = NEW_MSG(SignalfdEntry, signalfd_entry);

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	if (!fdinfo_number(p->fdinfo, "sigmask", 16, &e->sigmask)) {
		pr_err("Can't find the signals of %s", probe_name(p));
		return -1;
	}
	e->id = f->id;
	e->flags = p->flags;
	return 0;
}

static int signalfd_open(struct op *op, struct file *f)
{
	SignalfdEntry *e = f->entry->sgfd;

	f->fd = syscall(SYS_signalfd4, -1, &e->sigmask, sizeof(e->sigmask), SFD_CLOEXEC);
	if (f->fd < 0) {
		pr_perror("Can't make signalfd %u", f->id);
		return -1;
	}
	return fd_restore_flags(f->fd, e->flags);
}

const struct file_kind signalfd_kind = {
	.name = "signalfd",
	.type = FD_TYPES__SIGNALFD,
	.recognise = signalfd_recognise,
	.dump = signalfd_dump,
	.open = signalfd_open,
	.finish = fown_finish,
};
