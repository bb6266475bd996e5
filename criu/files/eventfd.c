// SPDX-License-Identifier: GPL-2.0-only
/* eventfd(2): a counter. Message: eventfd_file_entry. EFD_SEMAPHORE goes into its flags, where CRIU leaves it out. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "files/kinds.h"
#include "util/io.h"
#include "util/log.h"

static bool eventfd_recognise(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:[eventfd]");
}

static uint64_t take(int fd)
{
	uint64_t v = 0;
	struct iovec iov = { &v, sizeof(v) };

	/* somebody outside of the tree may have it too, and be quicker */
	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(v) ? v : 0;
}

/*
 * Kernels before 6.5 do not tell, so it is tried, with at least 2 in it: a semaphore gives 1. What it held is put back before any of the tasks runs; whoever polls it
 * edge-triggered may be told once too often.
 */
static bool find_semaphore(int fd, uint64_t counter)
{
	uint64_t two = 2, added = counter < 2 ? two : 0, got, back;

	if (added && write(fd, &two, sizeof(two)) < 0)
		return false;
	got = take(fd);
	if (got == 1 && added)
		take(fd);
	back = got == 1 && added ? 0 : got - min(got, added);
	if (back && write(fd, &back, sizeof(back)) < 0)
		pr_perror("Can't put %lu back into an eventfd", back);
	return got == 1;
}

static int eventfd_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	EventfdFileEntry *e = f->entry->efd = NEW_MSG(EventfdFileEntry, eventfd_file_entry);
	uint64_t semaphore = 0;

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	if (!fdinfo_number(p->fdinfo, "eventfd-count", 16, &e->counter)) {
		pr_err("Can't find the counter of %s", probe_name(p));
		return -1;
	}
	if (!fdinfo_number(p->fdinfo, "eventfd-semaphore", 10, &semaphore))
		semaphore = find_semaphore(p->lfd, e->counter);
	e->id = f->id;
	e->flags = p->flags | (semaphore ? EFD_SEMAPHORE : 0);
	return 0;
}

static int eventfd_open(struct op *op, struct file *f)
{
	EventfdFileEntry *e = f->entry->efd;

	f->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | (e->flags & EFD_SEMAPHORE));
	if (f->fd < 0 || (e->counter && write_full(f->fd, &e->counter, sizeof(e->counter)))) {
		pr_perror("Can't make eventfd %u with counter %lu", f->id, e->counter);
		return -1;
	}
	return fd_restore_flags(f->fd, e->flags);
}

const struct file_kind eventfd_kind = {
	.name = "eventfd",
	.type = FD_TYPES__EVENTFD,
	.recognise = eventfd_recognise,
	.dump = eventfd_dump,
	.open = eventfd_open,
	.finish = fown_finish,
};
