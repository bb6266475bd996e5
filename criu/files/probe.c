// SPDX-License-Identifier: GPL-2.0-only
/* What can be known of a descriptor from outside of its task. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/table.h"
#include "util/io.h"
#include "util/log.h"

const char *fdinfo_field(const char *fdinfo, const char *key)
{
	size_t len = strlen(key);

	for (const char *s = fdinfo; s; s = strchr(s, '\n')) {
		if (*s == '\n')
			s++;
		if (!strncmp(s, key, len) && s[len] == ':') {
			s += len + 1;
			return s + strspn(s, " \t");
		}
	}
	return NULL;
}

bool fdinfo_number(const char *fdinfo, const char *key, int base, uint64_t *value)
{
	const char *s = fdinfo_field(fdinfo, key);
	char *end;

	if (!s)
		return false;
	*value = strtoull(s, &end, base);
	return end != s;
}

int task_proc(struct task *t)
{
	char path[32];

	if (t->proc >= 0)
		return t->proc;
	snprintf(path, sizeof(path), "/proc/%d", t->pid);
	t->proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->proc < 0)
		pr_perror("Can't open %s", path);
	return t->proc;
}

static int task_pidfd(struct task *t)
{
	if (t->pidfd >= 0)
		return t->pidfd;
	t->pidfd = syscall(SYS_pidfd_open, t->pid, 0);
	if (t->pidfd < 0)
		pr_perror("Can't open a pidfd of task %d", t->vpid);
	return t->pidfd;
}

static int parse_fdinfo(struct fd_probe *p)
{
	uint64_t flags, mnt_id;

	if (!fdinfo_number(p->fdinfo, "pos", 10, &p->pos) ||
	    !fdinfo_number(p->fdinfo, "flags", 8, &flags)) {
		pr_err("Can't understand fdinfo of task %d fd %d", p->task->vpid, p->fd);
		return -1;
	}
	p->cloexec = flags & O_CLOEXEC;
	p->flags = flags & ~O_CLOEXEC;
	p->mnt_id = fdinfo_number(p->fdinfo, "mnt_id", 10, &mnt_id) ? (int)mnt_id : -1;
	return 0;
}

int probe_fd(struct fd_probe *p, struct task *t, int fd)
{
	int proc = task_proc(t), pidfd = task_pidfd(t);
	char path[32];

	*p = (struct fd_probe){ .task = t, .fd = fd, .lfd = -1, .mnt_id = -1 };
	if (proc < 0 || pidfd < 0)
		return -1;
	p->lfd = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (p->lfd < 0 && errno == EBADF)
		return -2;
	if (p->lfd < 0) {
		pr_perror("Can't copy descriptor %d of task %d", fd, t->vpid);
		return -1;
	}
	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	p->fdinfo = read_file_at(proc, path, NULL);
	if (!p->fdinfo || fstat(p->lfd, &p->st)) {
		pr_perror("Can't look at descriptor %d of task %d", fd, t->vpid);
		probe_free(p);
		return -1;
	}
	if (parse_fdinfo(p)) {
		probe_free(p);
		return -1;
	}
	return 0;
}

int probe_link(struct fd_probe *p)
{
	char path[32];

	snprintf(path, sizeof(path), "fd/%d", p->fd);
	p->link = readlink_at(p->task->proc, path);
	if (!p->link) {
		pr_perror("Can't read the link of descriptor %d of task %d", p->fd, p->task->vpid);
		return -1;
	}
	if (fstatfs(p->lfd, &p->fs))
		p->fs.f_type = 0;
	return 0;
}

void probe_free(struct fd_probe *p)
{
	close_safe(&p->lfd);
	free(p->link);
	free(p->fdinfo);
	p->link = p->fdinfo = NULL;
}

const char *probe_name(const struct fd_probe *p)
{
	static char buf[512];

	if (p->fd >= 0)
		snprintf(buf, sizeof(buf), "task %d fd %d (%s)", p->task->vpid, p->fd, p->link);
	else
		snprintf(buf, sizeof(buf), "task %d, %s", p->task->vpid, p->link);
	return buf;
}
