// SPDX-License-Identifier: GPL-2.0-only
/*
 * epoll(7). Message: eventpoll_file_entry, with one eventpoll_tfd_entry per registration.
 *
 * The kernel knows a registration by descriptor number and description. The number may have been closed, or given to
 * another file, while the description lives on under other numbers: dump finds it (KCMP_EPOLL_TFD), and
 * puts its file id into the registration's `id`, which is 0 otherwise (as CRIU writes it). Restore then registers it through
 * a descriptor that is at that number for the moment.
 */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/kinds.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/log.h"

/* Where to look for targets again once all descriptors are known. */
struct epoll {
	pid_t pid;
	int fd;
	struct task *task;
};

static bool epoll_recognise(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:[eventpoll]");
}

/* "tfd:        8 events:       19 data: 1122334455667788  pos:0 ino:232d4b sdev:f" */
EventpollTfdEntry *epoll_parse(const char *line)
{
	EventpollTfdEntry *e = NEW_MSG(EventpollTfdEntry, eventpoll_tfd_entry);
	unsigned long long data, pos, ino;

	if (!e)
		return NULL;
	if (sscanf(line, "tfd: %u events: %x data: %llx pos:%lli ino:%llx sdev:%x", &e->tfd,
		   &e->events, &data, &pos, &ino, &e->dev) != 6) {
		pr_err("Can't understand the epoll registration \"%.*s\"", (int)strcspn(line, "\n"),
		       line);
		free(e);
		return NULL;
	}
	e->data = data;
	e->pos = pos;
	e->inode = ino;
	e->has_dev = e->has_inode = e->has_pos = true;
	return e;
}

static int epoll_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	EventpollFileEntry *e = f->entry->epfd = NEW_MSG(EventpollFileEntry, eventpoll_file_entry);
	struct epoll *ep = f->priv = xmalloc(sizeof(*ep));
	size_t cap = 0;

	if (!e || !ep || !(e->fown = fown_dump(p)))
		return -1;
	e->id = f->id;
	e->flags = p->flags;
	*ep = (struct epoll){ p->task->pid, p->fd, p->task };
	for (const char *s = p->fdinfo; s && *s; s = strchr(s, '\n'), s += s ? 1 : 0) {
		if (strncmp(s, "tfd:", 4))
			continue;
		if (xgrow(&e->tfd, &cap, e->n_tfd, sizeof(*e->tfd)) ||
		    !(e->tfd[e->n_tfd] = epoll_parse(s)))
			return -1;
		e->n_tfd++;
	}
	return 0;
}

static bool is_target(const struct epoll *ep, const EventpollTfdEntry *e, unsigned nth, pid_t pid,
		      int fd)
{
	struct kcmp_epoll_slot slot = { .efd = ep->fd, .tfd = e->tfd, .toff = nth };

	return syscall(SYS_kcmp, pid, ep->pid, KCMP_EPOLL_TFD, fd, &slot) == 0;
}

struct search {
	const struct epoll *ep;
	const EventpollTfdEntry *e;
	unsigned nth;
};

static bool search_matches(pid_t pid, int fd, const void *arg)
{
	const struct search *s = arg;

	return is_target(s->ep, s->e, s->nth, pid, fd);
}

/* A socket is one description: its inode decides, where the kernel would walk through all registrations. */
static bool is_same_socket(const struct epoll *ep, const EventpollTfdEntry *e)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "fd/%u", e->tfd);
	return !fstatat(ep->task->proc, path, &st, 0) && S_ISSOCK(st.st_mode) &&
	       st.st_ino == e->inode;
}

/* Is the number of registration E, the NTH with this number (the kernel's toff), still the file it was made with? */
static int resolve_one(struct op *op, const struct epoll *ep, EventpollTfdEntry *e, unsigned nth)
{
	struct search s = { ep, e, nth };
	struct file *f;

	if (is_same_socket(ep, e) || is_target(ep, e, nth, ep->pid, e->tfd))
		return 0;
	f = file_search(op, e->inode, search_matches, &s);
	if (f) {
		e->id = f->id;
		return 0;
	}
	pr_err("Task %d: the epoll descriptor %d watches a file (as number %u, inode %lu) that no "
	       "task of the tree has open",
	       ep->task->vpid, ep->fd, e->tfd, e->inode);
	return -1;
}

static int resolve(struct op *op, struct file *f)
{
	EventpollFileEntry *e = f->entry->epfd;
	cleanup_free uint16_t *seen = NULL;
	uint32_t highest = 0;

	for (size_t i = 0; i < e->n_tfd; i++)
		highest = max(highest, e->tfd[i]->tfd);
	seen = xzalloc((highest + 1UL) * sizeof(*seen));
	if (!seen)
		return -1;
	for (size_t i = 0; i < e->n_tfd; i++)
		if (resolve_one(op, f->priv, e->tfd[i], seen[e->tfd[i]->tfd]++))
			return -1;
	return 0;
}

static int epoll_dump_all(struct op *op)
{
	for (size_t i = 0; i < op->files->nr; i++)
		if (op->files->v[i]->entry->epfd && resolve(op, op->files->v[i]))
			return -1;
	return 0;
}

static int epoll_open(struct op *op, struct file *f)
{
	f->fd = epoll_create1(EPOLL_CLOEXEC);
	if (f->fd < 0) {
		pr_perror("Can't make epoll descriptor %u", f->id);
		return -1;
	}
	return fd_restore_flags(f->fd, f->entry->epfd->flags);
}

static void add_registration(struct puppet *p, int fd, const EventpollTfdEntry *e)
{
	struct epoll_event ev = { .events = e->events, .data.u64 = e->data };

	prog_add(p, RC_STOP, __NR_epoll_ctl, fd, EPOLL_CTL_ADD, e->tfd,
		 prog_buf(p, &ev, sizeof(ev)));
}

static bool in_table(const struct task *t, uint32_t fd)
{
	for (size_t i = 0; i < t->nr_fds; i++)
		if (t->fds[i]->fd == fd)
			return true;
	return false;
}

/* Registers file E->id as number E->tfd, which is not its own: what has that number steps aside. */
static int register_by_guest(struct op *op, struct task *t, int fd, const EventpollTfdEntry *e)
{
	struct puppet *p = leader(t)->puppet;
	struct file *target = file_by_id(op, e->id);
	int guest, aside;

	if (!target || target->fd < 0) {
		pr_err("Task %d: the epoll descriptor %d watches file %u, which is not there",
		       t->vpid, fd, e->id);
		return -1;
	}
	guest = install_fd(op, t, target->fd);
	if (guest < 0)
		return -1;
	prog_reset(p);
	aside = -1;
	if (guest != (int)e->tfd) {
		if (in_table(t, e->tfd))
			aside = prog_add(p, RC_STOP, __NR_dup, e->tfd);
		prog_add(p, RC_STOP, __NR_dup3, guest, e->tfd, O_CLOEXEC);
	}
	add_registration(p, fd, e);
	if (aside >= 0) {
		const FdinfoEntry *own = NULL;

		for (size_t i = 0; i < t->nr_fds; i++)
			if (t->fds[i]->fd == e->tfd)
				own = t->fds[i];
		prog_add(p, RC_STOP, __NR_dup3, RESULT(aside), e->tfd,
			 own->flags & FD_CLOEXEC ? O_CLOEXEC : 0);
		prog_add(p, RC_STOP, __NR_close, RESULT(aside));
	} else if (guest != (int)e->tfd) {
		prog_add(p, RC_STOP, __NR_close, e->tfd);
	}
	prog_add(p, RC_STOP, __NR_close, guest);
	return prog_run(p);
}

/* A one-shot registration that has fired waits for no event at all: EPOLL_CTL_ADD cannot say that. */
static bool is_disarmed(const EventpollTfdEntry *e)
{
	return e->events & EPOLLONESHOT && !(e->events & 0xffff) && !(e->events & EPOLLRDHUP);
}

/* Registers all of them by number; the disarmed ones, if DISARMED, for every event there is, otherwise the others. */
static int register_all(const EventpollFileEntry *e, struct puppet *p, int fd, bool disarmed)
{
	prog_reset(p);
	for (size_t i = 0; i < e->n_tfd; i++) {
		EventpollTfdEntry any = *e->tfd[i];

		if (any.id || is_disarmed(&any) != disarmed)
			continue;
		if (disarmed)
			any.events |= EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP;
		if (!prog_room(p, 1, 64)) {
			if (prog_run(p))
				return -1;
			prog_reset(p);
		}
		add_registration(p, fd, &any);
	}
	return p->nr_calls ? prog_run(p) : 0;
}

/* Does criu's copy of the epoll descriptor wait for events of number TFD? */
static bool is_armed_now(const char *fdinfo, uint32_t tfd)
{
	for (const char *s = fdinfo; s && *s; s = strchr(s, '\n'), s += s ? 1 : 0) {
		unsigned number, events;

		if (sscanf(s, "tfd: %u events: %x", &number, &events) == 2 && number == tfd)
			return events & 0xffff;
	}
	return false;
}

static char *own_fdinfo(int fd)
{
	char path[32], *text;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	text = read_file_at(AT_FDCWD, path, NULL);
	if (!text)
		pr_perror("Can't read %s", path);
	return text;
}

/* Those that did not fire keep the least that can be asked for: errors and hang-ups. */
static int modify_unfired(struct file *f, struct puppet *p, int fd)
{
	EventpollFileEntry *e = f->entry->epfd;
	cleanup_free char *fdinfo = own_fdinfo(f->fd);

	if (!fdinfo)
		return -1;
	prog_reset(p);
	for (size_t i = 0; i < e->n_tfd; i++) {
		struct epoll_event ev = { .events = e->tfd[i]->events,
					  .data.u64 = e->tfd[i]->data };

		if (e->tfd[i]->id || !is_disarmed(e->tfd[i]) ||
		    !is_armed_now(fdinfo, e->tfd[i]->tfd))
			continue;
		if (!prog_room(p, 1, 64)) {
			if (prog_run(p))
				return -1;
			prog_reset(p);
		}
		prog_add(p, RC_STOP, __NR_epoll_ctl, fd, EPOLL_CTL_MOD, e->tfd[i]->tfd,
			 prog_buf(p, &ev, sizeof(ev)));
	}
	return p->nr_calls ? prog_run(p) : 0;
}

/* Lets the disarmed ones fire: most descriptors are ready for something. */
static int restore_disarmed(struct file *f, struct puppet *p, int fd)
{
	EventpollFileEntry *e = f->entry->epfd;
	struct epoll_event got[64];
	size_t nr = 0;

	for (size_t i = 0; i < e->n_tfd; i++)
		nr += !e->tfd[i]->id && is_disarmed(e->tfd[i]);
	if (!nr)
		return 0;
	if (register_all(e, p, fd, true))
		return -1;
	while (epoll_wait(f->fd, got, ARRAY_SIZE(got), 0) > 0)
		;
	return modify_unfired(f, p, fd);
}

static int epoll_finish(struct op *op, struct task *t, struct file *f, int fd)
{
	EventpollFileEntry *e = f->entry->epfd;
	struct puppet *p = leader(t)->puppet;

	if (restore_disarmed(f, p, fd) || register_all(e, p, fd, false))
		return -1;
	for (size_t i = 0; i < e->n_tfd; i++)
		if (e->tfd[i]->id && register_by_guest(op, t, fd, e->tfd[i]))
			return -1;
	return fown_finish(op, t, f, fd);
}

const struct file_kind epoll_kind = {
	.name = "epoll",
	.type = FD_TYPES__EVENTPOLL,
	.recognise = epoll_recognise,
	.dump = epoll_dump,
	.dump_all = epoll_dump_all,
	.open = epoll_open,
	.finish = epoll_finish,
};
