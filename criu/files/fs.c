// SPDX-License-Identifier: GPL-2.0-only
/* Root, working directory and umask. Image: fs-<vpid>.img. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/table.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/log.h"

static int dump_dir(struct op *op, struct task *t, const char *what, uint32_t *id)
{
	cleanup_close int fd = openat(t->proc, what, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *link = readlink_at(t->proc, what);

	if (fd < 0 || !link) {
		pr_perror("Can't open /proc/%d/%s", t->pid, what);
		return -1;
	}
	return files_dump_mapped(op, t, fd, link, O_RDONLY, id);
}

int fs_dump(struct op *op, struct task *t)
{
	FsEntry *e = NEW_MSG(FsEntry, fs_entry);
	cleanup_free char *status = NULL;
	uint64_t umask;

	if (!e)
		return -1;
	t->fs = e;
	if (task_proc(t) < 0 || dump_dir(op, t, "cwd", &e->cwd_id) ||
	    dump_dir(op, t, "root", &e->root_id))
		return -1;
	status = read_file_at(t->proc, "status", NULL);
	if (!status || !fdinfo_number(status, "Umask", 8, &umask)) {
		pr_err("Can't find the umask in /proc/%d/status", t->pid);
		return -1;
	}
	e->has_umask = true;
	e->umask = umask;
	return image_write_one(op->images, IMG_FS, t->vpid, &e->base);
}

int fs_collect(struct op *op, struct task *t)
{
	uint32_t ids[2];

	if (!t->fs && image_read_one(op->images, IMG_FS, t->vpid, (ProtobufCMessage **)&t->fs))
		return -1;
	ids[0] = t->fs->cwd_id;
	ids[1] = t->fs->root_id;
	for (int i = 0; i < 2; i++) {
		struct file *f = file_by_id(op, ids[i]);

		if (!f || !f->entry->reg) {
			pr_err("fs-%d.img: file id %u is no directory of files.img", t->vpid,
			       ids[i]);
			return -1;
		}
	}
	return 0;
}

static int install_dir(struct op *op, struct task *t, uint32_t id, bool is_root)
{
	cleanup_close int fd = file_open_mapped(op, id, O_RDONLY | O_DIRECTORY);
	struct puppet *p = leader(t)->puppet;
	int there;

	if (fd < 0)
		return -1;
	there = install_fd(op, t, fd);
	if (there < 0)
		return -1;
	prog_reset(p);
	prog_add(p, RC_STOP, __NR_fchdir, there);
	if (is_root)
		prog_add(p, RC_STOP, __NR_chroot, prog_str(p, "."));
	prog_add(p, RC_STOP, __NR_close, there);
	return prog_run(p);
}

int fs_install(struct op *op, struct task *t)
{
	struct file *root;

	if (!t->fs)
		return 0;
	root = file_by_id(op, t->fs->root_id);
	if (strcmp(root->entry->reg->name, "/") && install_dir(op, t, t->fs->root_id, true))
		return -1;
	return install_dir(op, t, t->fs->cwd_id, false);
}

int files_restore_fs(struct op *op, struct task *t)
{
	long ret;

	if (!t->fs || !t->fs->has_umask)
		return 0;
	ret = puppet_call(leader(t)->puppet, __NR_umask, t->fs->umask);
	return ret == -EIO ? -1 : 0;
}
