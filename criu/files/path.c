// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paths. Names in images are those of the tasks' mount namespace, from its root (not from a task's chroot). While dumping,
 * links under /proc/PID say exactly that. Tasks in criu's own mount namespace need no more; for others paths are resolved
 * inside /proc/PID/root.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files/table.h"
#include "util/io.h"
#include "util/log.h"

/* AT_FDCWD where T is in criu's mount namespace, else a descriptor of its root. -1 with errno. */
static int view_root(struct op *op, struct task *t)
{
	struct file_table *ft = op->files;
	struct stat own, its;

	if (ft->view_task == t)
		return ft->view_root;
	if (ft->view_root >= 0)
		close(ft->view_root);
	ft->view_task = NULL;
	ft->view_root = AT_FDCWD;
	if (task_proc(t) < 0 || stat("/proc/self/ns/mnt", &own) ||
	    fstatat(t->proc, "ns/mnt", &its, 0))
		return -1;
	if (own.st_ino != its.st_ino) {
		ft->view_root = openat(t->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (ft->view_root < 0) {
			ft->view_root = AT_FDCWD;
			return -1;
		}
	}
	ft->view_task = t;
	return ft->view_root;
}

int file_path_open(struct op *op, struct task *t, const char *path, int flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	int root = view_root(op, t);

	if (root == AT_FDCWD)
		return open(path, flags | O_CLOEXEC);
	return root < 0 ? -1 : (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

int file_path_at(struct op *op, struct task *t, const char *path, struct stat *st)
{
	cleanup_close int fd = -1;

	if (view_root(op, t) == AT_FDCWD)
		return lstat(path, st);
	fd = file_path_open(op, t, path, O_PATH | O_NOFOLLOW);
	return fd < 0 ? -1 : fstat(fd, st);
}

int file_open_path(struct op *op, const char *path, int flags, mode_t mode)
{
	return open(path, flags | O_CLOEXEC, mode);
}

uint32_t image_dev(dev_t dev)
{
	return (uint32_t)major(dev) << 20 | minor(dev);
}

int reopen_fd(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}
