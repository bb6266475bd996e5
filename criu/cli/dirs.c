// SPDX-License-Identifier: GPL-2.0-only
#include "util/dirs.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

struct dirs dirs = { -1, -1 };

/* Permission bits do not tell: root passes them, and /proc has them. */
static int try_to_write(int dir)
{
	static const char name[] = ".criu-can-write";
	cleanup_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : unlinkat(dir, name, 0);
}

static int open_dir(const char *path, const char *what, bool writable)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		pr_perror("Can't open the %s directory %s", what, path);
		return -1;
	}
	if (writable && try_to_write(fd)) {
		pr_perror("Can't write to the %s directory %s", what, path);
		close(fd);
		return -1;
	}
	return fd;
}

/* Pipes full of pages and descriptors of whole trees: as many as the hard limit allows. */
static void raise_nofile(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int dirs_open(enum dir_need need)
{
	const char *images = opts.images_dir ?: ".", *work = opts.work_dir ?: images;

	log_level = opts.verbosity;
	raise_nofile();
	close_safe(&dirs.images); /* of an RPC request before this one */
	close_safe(&dirs.work);
	dirs.images = open_dir(images, "images", need == DIRS_WRITE);
	if (dirs.images < 0)
		return -1;
	dirs.work = open_dir(work, "work", opts.log_file != NULL);
	if (dirs.work < 0)
		return -1;
	if (log_init(dirs.work, opts.log_file))
		return -1;
	log_set_pid(opts.log_pid);
	if (opts.spill && opts.spill[0] != '/') {
		cleanup_free char *here = get_current_dir_name();

		opts.spill = here ? xasprintf("%s/%s", here, opts.spill) : NULL;
		if (!opts.spill)
			return -1;
	}
	if (fchdir(dirs.work)) {
		pr_perror("Can't go to the work directory %s", work);
		return -1;
	}
	pr_debug("criu %s: %s, images in %s, work in %s", CRIU_VERSION, cli.command->name, images,
		 work);
	return 0;
}

int write_pidfile(int pid)
{
	cleanup_close int fd = -1;

	if (!opts.pidfile)
		return 0;
	fd = openat(dirs.work, opts.pidfile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0) {
		pr_perror("Can't create the pidfile %s", opts.pidfile);
		return -1;
	}
	if (dprintf(fd, "%d", pid) < 0) {
		pr_perror("Can't write the pidfile %s", opts.pidfile);
		unlinkat(dirs.work, opts.pidfile, 0);
		return -1;
	}
	return 0;
}
