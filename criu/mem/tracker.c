// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/tracker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proc/proc.h"
#include "util/io.h"
#include "util/log.h"

#define COMM	  "criu-tracker"
#define TABLE_FD  3
#define MAGIC	  0x4b43415254ULL
#define MAX_TASKS 65536

struct table_head {
	uint64_t magic;
	char link[LINK_ID_LEN];
	uint32_t nr_tasks, pad;
};

/* ---- finding ---- */

static int get_fd(int pidfd, int fd)
{
	return syscall(__NR_pidfd_getfd, pidfd, fd, 0);
}

/* A process of that name, ours, whose descriptor is what a tracker's must be. */
static bool looks_right(pid_t pid)
{
	cleanup_free char *comm = NULL, *link = NULL;
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	comm = read_file_at(AT_FDCWD, path, NULL);
	if (!comm || strcmp(comm, COMM "\n"))
		return false;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) || st.st_uid != geteuid())
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, TABLE_FD);
	link = readlink_at(AT_FDCWD, path);
	return link && !strcmp(link, "/memfd:" COMM " (deleted)");
}

static int read_table(struct tracker *t)
{
	struct table_head h;
	size_t len;

	if (pread_full(t->table, &h, sizeof(h), 0) != sizeof(h) || h.magic != MAGIC ||
	    h.nr_tasks > MAX_TASKS || !memchr(h.link, 0, sizeof(h.link)))
		return -1;
	len = h.nr_tasks * sizeof(*t->tasks);
	t->tasks = xmalloc(len);
	if (!t->tasks || pread_full(t->table, t->tasks, len, sizeof(h)) != (ssize_t)len)
		return -1;
	t->nr_tasks = h.nr_tasks;
	memcpy(t->link, h.link, sizeof(t->link));
	return 0;
}

static void tracker_end(struct tracker *t)
{
	close_safe(&t->pidfd);
	close_safe(&t->table);
	free(t->tasks);
}

/* 0: *T is one; 1: not a tracker */
static int open_tracker(pid_t pid, struct tracker *t)
{
	*t = (struct tracker){ .pid = pid, .pidfd = -1, .table = -1 };
	if (!looks_right(pid))
		return 1;
	t->pidfd = syscall(__NR_pidfd_open, pid, 0);
	if (t->pidfd >= 0)
		t->table = get_fd(t->pidfd, TABLE_FD);
	if (t->table >= 0 && !read_table(t))
		return 0;
	pr_debug("Process %d is called " COMM ", but is none that can be used", pid);
	tracker_end(t);
	return 1;
}

int tracker_find_all(struct tracker **found, unsigned *nr)
{
	cleanup_closedir DIR *d = opendir("/proc");
	size_t cap = 0;
	struct dirent *de;

	*found = NULL;
	*nr = 0;
	if (!d) {
		pr_perror("Can't list /proc");
		return -1;
	}
	while ((de = readdir(d))) {
		pid_t pid = atoi(de->d_name);

		if (pid <= 0)
			continue;
		if (xgrow(found, &cap, *nr, sizeof(**found)))
			return -1;
		if (!open_tracker(pid, &(*found)[*nr]))
			++*nr;
	}
	return 0;
}

void tracker_free_all(struct tracker *found, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		tracker_end(&found[i]);
	free(found);
}

const struct tracker_task *tracker_task(const struct tracker *t, pid_t pid, uint64_t start_time)
{
	for (uint32_t i = 0; i < t->nr_tasks; i++)
		if (t->tasks[i].pid == pid && t->tasks[i].start_time == start_time)
			return &t->tasks[i];
	return NULL;
}

int tracker_take(const struct tracker *t, const struct tracker_task *task)
{
	return get_fd(t->pidfd, task->uffd);
}

int tracker_invalidate(struct tracker *t)
{
	char none[LINK_ID_LEN] = "";

	if (pwrite_full(t->table, none, sizeof(none), offsetof(struct table_head, link))) {
		pr_perror("Can't write the table of the tracker (process %d)", t->pid);
		return -1;
	}
	memset(t->link, 0, sizeof(t->link));
	return 0;
}

void tracker_kill(struct tracker *t)
{
	struct pollfd p = { .fd = t->pidfd, .events = POLLIN };

	if (syscall(__NR_pidfd_send_signal, t->pidfd, SIGKILL, NULL, 0))
		pr_debug("Can't end the tracker (process %d): %s", t->pid, strerror(errno));
	else
		poll(&p, 1,
		     1000); /* with it the protection is gone, when criu says that it is done */
}

/* ---- the process ---- */

struct held {
	struct tracker_task *tasks;
	struct pollfd *pidfds;
	uint32_t nr;
	int table;
};

/* The descriptor above all that is to be closed. */
static int lift(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

static void close_others(const struct held *h, int ready)
{
	cleanup_closedir DIR *d = opendir("/proc/self/fd");
	struct dirent *de;

	while (d && (de = readdir(d))) {
		int fd = atoi(de->d_name);
		bool keep = fd == h->table || fd == ready || fd == dirfd(d) || *de->d_name == '.';

		for (uint32_t i = 0; i < h->nr && !keep; i++)
			keep = fd == h->tasks[i].uffd || fd == h->pidfds[i].fd;
		if (!keep)
			close(fd);
	}
}

/* Writes the table as it is in this process, whose descriptors have their final numbers. */
static int write_table(const struct held *h, const char *link)
{
	struct table_head head = { .magic = MAGIC, .nr_tasks = h->nr };

	snprintf(head.link, sizeof(head.link), "%s", link);
	return pwrite_full(h->table, h->tasks, h->nr * sizeof(*h->tasks), sizeof(head)) ||
	       pwrite_full(h->table, &head, sizeof(head), 0);
}

static int settle(struct held *h, const char *link, pid_t root, int *ready)
{
	int null;

	h->table = lift(h->table);
	*ready = lift(*ready);
	for (uint32_t i = 0; i < h->nr; i++) {
		h->pidfds[i].fd = lift(h->pidfds[i].fd);
		h->pidfds[i].events = POLLIN;
		h->tasks[i].uffd = lift(h->tasks[i].uffd);
	}
	close_others(h, *ready);
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		if (fd != null)
			dup2(null, fd);
	if (h->table < 0 || *ready < 0 || dup2(h->table, TABLE_FD) < 0 || write_table(h, link))
		return -1;
	close_safe(&h->table);
	setproctitle("tracking what the tree of %d writes", root);
	prctl(PR_SET_NAME, COMM);
	return 0;
}

/* Until no task is left. Each one's descriptor is closed with its end: it would hold the remains of its memory. */
static void watch(struct held *h)
{
	uint32_t left = h->nr;

	while (left) {
		if (poll(h->pidfds, h->nr, -1) < 0)
			continue;
		for (uint32_t i = 0; i < h->nr; i++) {
			if (h->pidfds[i].fd < 0 || !h->pidfds[i].revents)
				continue;
			close_safe(&h->pidfds[i].fd);
			close_safe(&h->tasks[i].uffd);
			left--;
		}
	}
}

static void be_tracker(struct held *h, const char *link, pid_t root, int ready)
{
	cleanup_close int adj = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t all;
	pid_t self;

	if (adj >= 0 && write(adj, "-900", 4) < 0)
		pr_debug("The tracker's oom_score_adj stays as it is: %s", strerror(errno));
	if (settle(h, link, root, &ready) || chdir("/"))
		_exit(1);
	self = getpid();
	if (write_full(ready, &self, sizeof(self)))
		_exit(1);
	close(ready);
	/* only SIGTERM and SIGKILL end it: then the next dump is a full one */
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &all, NULL);
	watch(h);
	_exit(0);
}

/* A grandchild in a session of its own, so that neither the caller nor its terminal has to do with it. */
static int start_process(struct held *h, const char *link, pid_t root)
{
	cleanup_close int rd = -1, wr = -1;
	pid_t child, tracker = 0;
	int p[2], status;

	if (pipe2(p, O_CLOEXEC)) {
		pr_perror("Can't make a pipe");
		return -1;
	}
	rd = p[0];
	wr = p[1];
	child = fork();
	if (!child) {
		setsid();
		child = fork();
		if (!child)
			be_tracker(h, link, root, wr);
		_exit(child < 0);
	}
	if (child < 0) {
		pr_perror("Can't start the tracker");
		return -1;
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	close_safe(&wr);
	if (read_full(rd, &tracker, sizeof(tracker)) != sizeof(tracker)) {
		pr_err("The tracker of the tree under %d did not start", root);
		return -1;
	}
	pr_info("Process %d tracks what the tree of %d writes", tracker, root);
	return 0;
}

int tracker_start(const char *link, pid_t root, const struct tracker_task *tasks, uint32_t nr)
{
	struct held h = { .table = memfd_create(COMM, MFD_CLOEXEC) };
	int ret = -1;

	if (h.table < 0) {
		pr_perror("Can't make a memfd");
		return -1;
	}
	h.tasks = xcalloc(nr, sizeof(*h.tasks));
	h.pidfds = xcalloc(nr, sizeof(*h.pidfds));
	for (uint32_t i = 0; i < nr && h.tasks && h.pidfds; i++) {
		int fd = syscall(__NR_pidfd_open, tasks[i].pid, 0);

		if (fd < 0) /* ended meanwhile */
			continue;
		h.tasks[h.nr] = tasks[i];
		h.pidfds[h.nr++].fd = fd;
	}
	if (h.tasks && h.pidfds)
		ret = start_process(&h, link, root);
	for (uint32_t i = 0; i < h.nr; i++)
		close(h.pidfds[i].fd);
	close(h.table);
	free(h.tasks);
	free(h.pidfds);
	return ret;
}
