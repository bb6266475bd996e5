// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/deadman.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lazy/handover.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define MAX_FDS 250   /* of one message */
#define FEW	256   /* descriptors */
#define HIGHEST 16383 /* numbers above make the table large */
#define MANY	1000  /* threads */

/* ---- restore ---- */

/*
 * What is signalled for T: its process group, where that is of the tree, since what T forks is in it too; else T alone. False: nothing, another task of the
 * group has seen to it.
 */
static bool owner(struct op *op, struct task *t, struct f_owner_ex *who)
{
	struct task *lead = task_find(op, t->pgid), *u;

	*who = (struct f_owner_ex){ F_OWNER_PID, t->pid };
	if (!lead || !task_alive(lead))
		return true;
	*who = (struct f_owner_ex){ F_OWNER_PGRP, lead->pid };
	for_each_live_task (u, op) {
		if (u == t)
			return true;
		if (u->pgid == t->pgid)
			return false;
	}
	return false;
}

/* A read end of the pipe that is a description of its own. */
static int make_one(int pipe, const struct f_owner_ex *who)
{
	char path[32];
	int fd, flags;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipe);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
	if (fd >= 0 && !fcntl(fd, F_SETOWN_EX, who) && !fcntl(fd, F_SETSIG, SIGSTOP) &&
	    flags >= 0 && !fcntl(fd, F_SETFL, flags | O_ASYNC))
		return fd;
	close_safe(&fd);
	pr_perror("Can't make a pipe that signals task %d", who->pid);
	return -1;
}

/*
 * A signal for a process reaches its threads when the first of them takes it, which may have to wait for a CPU. So there is one for each thread, too, as long as
 * there are not very many.
 */
static int make_for_task(struct op *op, struct task *t, int pipe, int *fds, unsigned *nr)
{
	struct f_owner_ex who;

	if (owner(op, t, &who)) {
		fds[*nr] = make_one(pipe, &who);
		if (fds[*nr] < 0)
			return -1;
		++*nr;
	}
	for_each_thread (th, t) {
		if (*nr >= MANY)
			return 0;
		fds[*nr] = make_one(pipe, &(struct f_owner_ex){ F_OWNER_TID, th->tid });
		if (fds[*nr] < 0)
			return -1;
		++*nr;
	}
	return 0;
}

int deadman_make(struct op *op, int **fds, unsigned *nr)
{
	cleanup_close int rd = -1;
	struct task *t;
	int p[2];

	*nr = 0;
	*fds = xcalloc(1 + op->nr_tasks + MANY, sizeof(**fds));
	if (!*fds)
		return -1;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK)) {
		pr_perror("Can't make a pipe");
		return -1;
	}
	rd = p[0];
	(*fds)[(*nr)++] = p[1];
	for_each_live_task (t, op)
		if (make_for_task(op, t, rd, *fds, nr))
			return -1;
	return 0;
}

void deadman_send(int sock, int *fds, unsigned nr)
{
	uint32_t word = LAZY_DEADMAN;

	for (unsigned at = 0; at < nr; at += MAX_FDS)
		if (send(sock, &word, sizeof(word), MSG_NOSIGNAL) != sizeof(word) ||
		    send_fds(sock, fds + at, min(nr - at, (unsigned)MAX_FDS), !at)) {
			pr_warn("lazy-pages went away when the tasks had been let go");
			break;
		}
	/* the write end last: nobody is to be signalled where the daemon has not got it */
	while (nr--)
		close(fds[nr]);
}

/* ---- lazy-pages ---- */

static int place = -1; /* of the write end */

/* Descriptor FD, at number AT now. */
static int up(int fd, int at)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, at);

	close_safe(&fd);
	return high;
}

/*
 * The release of an inotify instance waits for the kernel's own housekeeping, some 10 ms: time in which the tasks' threads stop, also on a busy machine. Instances that watch the
 * same thing do not wait one after the other. Without them it is hardly less safe.
 */
static const char *const slow_paths[] = { "/",	  "/proc", "/sys", "/dev",
					  "/tmp", "/usr",  "/etc", "/var" };

static int slow[ARRAY_SIZE(slow_paths)];

static int slow_one(const char *path, int at)
{
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd >= 0)
		inotify_add_watch(fd, path, IN_DELETE_SELF); /* as number 1 */
	return up(fd, at);
}

void deadman_reserve(void)
{
	struct rlimit lim = { .rlim_cur = 1024 };
	int at;

	getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur < FEW) /* they are needed for other things */
		return;
	at = min(lim.rlim_cur - 1, (rlim_t)HIGHEST);
	place = up(open("/dev/null", O_RDONLY | O_CLOEXEC), at);
	for (unsigned i = 0; i < ARRAY_SIZE(slow_paths); i++)
		slow[i] = slow_one(slow_paths[i], at - 1 - i);
}

/* The read ends stay where they are: they need not be known. */
static int keep(int *fds, size_t nr, bool write_end_first)
{
	struct stat st;
	size_t bad = 0;

	for (size_t i = 0; i < nr; i++)
		if (fstat(fds[i], &st) || !S_ISFIFO(st.st_mode)) {
			close_safe(&fds[i]);
			bad++;
		}
	if (bad) {
		pr_err("restore handed over %zu descriptors that are no pipes", bad);
		return -1;
	}
	if (!write_end_first || place < 0)
		return 0;
	if (dup3(fds[0], place, O_CLOEXEC) < 0)
		pr_perror("Can't move descriptor %d to %d", fds[0], place);
	else
		close(fds[0]);
	return 0;
}

int deadman_take(int sock)
{
	char first = 0, ctl[CMSG_SPACE(MAX_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { &first, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *c;
	int fds[MAX_FDS + 1]; /* CMSG_SPACE() may have rounded up */
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(sizeof(int))) {
		pr_err("restore announced descriptors that did not come");
		return -1;
	}
	memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return keep(fds, (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), first);
}

void deadman_off(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		int fd = atoi(e->d_name), flags = fcntl(fd, F_GETFL);

		/* nothing else of ours is asynchronous */
		if (e->d_name[0] != '.' && flags >= 0 && (flags & O_ASYNC))
			fcntl(fd, F_SETFL, flags & ~O_ASYNC);
	}
	if (dir)
		closedir(dir);
	/* what is not watched any more is cleared away together: then one release waits for it, and not each one after the other */
	for (unsigned i = 0; place >= 0 && i < ARRAY_SIZE(slow_paths); i++)
		inotify_rm_watch(slow[i], 1);
	/* their release is the last holder's, who has more time than we */
	if (place >= 0 && !unshare(CLONE_FILES))
		for (unsigned i = 0; i < ARRAY_SIZE(slow_paths); i++)
			close_safe(&slow[i]);
}
