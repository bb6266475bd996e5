// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptions that the user hands in at restore: --inherit-fd fd[N]:RESOURCE, where RESOURCE is "pipe:[ID]", "socket:[INODE]",
 * "tty[RDEV:DEV]" or a path without its leading slash.
 */
#include <fcntl.h>
#include <stdio.h>

#include "files/table.h"
#include "util/log.h"

/* What the user would call F; false where it has no such name. */
static bool resource_name(const struct file *f, char *buf, size_t len)
{
	const FileEntry *e = f->entry;

	if (e->reg)
		snprintf(buf, len, "%s", e->reg->name + (e->reg->name[0] == '/'));
	else if (e->pipe)
		snprintf(buf, len, "pipe:[%u]", e->pipe->pipe_id);
	else if (e->usk)
		snprintf(buf, len, "socket:[%u]", e->usk->ino);
	else
		return false;
	return true;
}

const char *inherit_fd_parse(const char *arg, int *fd)
{
	int at = 0;

	if (sscanf(arg, "fd[%d]:%n", fd, &at) != 1 || !at || !arg[at] || *fd < 0)
		return NULL;
	return arg + at;
}

/* The number N of --inherit-fd for F, or -1. */
static int inherited(const struct file *f)
{
	char name[4096 + 16];
	const char *resource;
	int n;

	if (!opts.inherit_fd.nr || !resource_name(f, name, sizeof(name)))
		return -1;
	for (size_t i = 0; i < opts.inherit_fd.nr; i++) {
		resource = inherit_fd_parse(opts.inherit_fd.v[i], &n);
		if (resource && !strcmp(resource, name))
			return n;
	}
	return -1;
}

bool file_is_given(struct op *op, struct file *f)
{
	return inherited(f) >= 0;
}

int file_open_given(struct op *op, struct file *f)
{
	int n = inherited(f);

	f->fd = fcntl(n, F_DUPFD_CLOEXEC, 0);
	if (f->fd >= 0)
		return 0;
	pr_perror("Can't use descriptor %d that --inherit-fd names", n);
	return -1;
}
