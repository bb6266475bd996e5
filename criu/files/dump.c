// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dump of descriptors. Each is copied into criu, looked up among the descriptions already met, and handed to
 * its kind where it is new.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files/socket.h"
#include "util/io.h"
#include "util/log.h"

/* A description that was met. PID and FD name one descriptor of it; FD -1: a mapped file, equal where device, inode and link are. */
struct known {
	RB_ENTRY(known) node;
	dev_t dev;
	ino_t ino;
	unsigned flags;
	uint64_t pos;
	pid_t pid;
	int fd;
	char *link;
	struct file *f;
};

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* kcmp's order is total and stable while the kernel runs: "1: less, 2: greater" (kcmp(2)). */
static int order_descriptions(const struct known *a, const struct known *b)
{
	long r = syscall(SYS_kcmp, a->pid, b->pid, KCMP_FILE, a->fd, b->fd);

	if (r < 0) {
		pr_perror("Can't compare descriptor %d of %d with %d of %d", a->fd, a->pid, b->fd,
			  b->pid);
		return -1;
	}
	return r == 1 ? -1 : r ? 1 : 0;
}

static int order_known(const struct known *a, const struct known *b)
{
	int r = order(a->fd < 0, b->fd < 0);

	r = r ?: order(a->dev, b->dev);
	r = r ?: order(a->ino, b->ino);
	r = r ?: order(a->flags, b->flags);
	r = r ?: order(a->pos, b->pos);
	if (r)
		return r;
	return a->fd < 0 ? strcmp(a->link, b->link) : order_descriptions(a, b);
}
RB_PROTOTYPE(known_tree, known, node, order_known);
RB_GENERATE(known_tree, known, node, order_known);

struct file *file_search(struct op *op, uint64_t ino,
			 bool (*match)(pid_t pid, int fd, const void *arg), const void *arg)
{
	struct known *k;

	RB_FOREACH (k, known_tree, &op->files->known)
		if (k->fd >= 0 && k->ino == ino && match(k->pid, k->fd, arg))
			return k->f;
	return NULL;
}

static void probe_key(const struct fd_probe *p, struct known *key)
{
	*key = (struct known){ .dev = p->st.st_dev,
			       .ino = p->st.st_ino,
			       .flags = p->flags,
			       .pos = p->pos,
			       .pid = p->task->pid,
			       .fd = p->fd,
			       .link = p->link };
}

static int remember(struct op *op, const struct fd_probe *p, struct file *f)
{
	struct known *k = xmalloc(sizeof(*k));

	if (!k)
		return -1;
	probe_key(p, k);
	k->f = f;
	k->link = NULL;
	if (p->fd < 0 && !(k->link = xstrdup(p->link))) {
		free(k);
		return -1;
	}
	RB_INSERT(known_tree, &op->files->known, k);
	return 0;
}

int files_init(struct op *op)
{
	struct file_table *ft = xzalloc(sizeof(*ft));

	if (!ft)
		return -1;
	RB_INIT(&ft->known);
	ft->view_root = AT_FDCWD;
	op->files = ft;
	return 0;
}

void files_free(struct op *op)
{
	struct file_table *ft = op->files;
	struct known *k, *next;

	if (!ft)
		return;
	for (unsigned i = 0; file_kinds[i]; i++)
		if (file_kinds[i]->free)
			file_kinds[i]->free(op);
	locks_free(op);
	sockets_diag_free(op);
	sockopts_more_free(&op->files->sock_defaults);
	queues_free(op);
	RB_FOREACH_SAFE(k, known_tree, &ft->known, next)
	{
		RB_REMOVE(known_tree, &ft->known, k);
		free(k->link);
		free(k);
	}
	for (size_t i = 0; i < ft->nr; i++) {
		close_safe(&ft->v[i]->fd);
		if (ft->v[i]->entry)
			file_entry__free_unpacked(ft->v[i]->entry, NULL);
		free(ft->v[i]->priv);
		free(ft->v[i]);
	}
	free(ft->v);
	if (ft->view_root >= 0)
		close(ft->view_root);
	free(ft);
	op->files = NULL;
}

const struct file_kind *file_kind_of(FdTypes type)
{
	for (unsigned i = 0; file_kinds[i]; i++)
		if (file_kinds[i]->type == type)
			return file_kinds[i];
	return NULL;
}

struct file *file_new(struct op *op, FdTypes type)
{
	struct file_table *ft = op->files;
	struct file *f = xzalloc(sizeof(*f));

	if (!f || xgrow(&ft->v, &ft->cap, ft->nr, sizeof(*ft->v)) ||
	    !(f->entry = NEW_MSG(FileEntry, file_entry))) {
		free(f);
		return NULL;
	}
	f->id = f->entry->id = ++ft->last_id;
	f->entry->type = type;
	f->kind = file_kind_of(type);
	f->fd = -1;
	f->op = op;
	ft->v[ft->nr++] = f;
	return f;
}

static const struct file_kind *recognise(const struct fd_probe *p)
{
	for (unsigned i = 0; file_kinds[i]; i++)
		if (file_kinds[i]->recognise(p))
			return file_kinds[i];
	return NULL;
}

static void refuse_socket(const struct fd_probe *p)
{
	static const char *const names[] = {
		[AF_NETLINK] = "netlink",     [AF_PACKET] = "packet",
		[AF_BLUETOOTH] = "Bluetooth", [AF_ALG] = "crypto (AF_ALG)",
		[AF_VSOCK] = "VM (AF_VSOCK)", [AF_XDP] = "XDP"
	};
	int family = 0, type = 0, proto = 0;

	sockopt_get(p, SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN", &family);
	sockopt_get(p, SOL_SOCKET, SO_TYPE, "SO_TYPE", &type);
	sockopt_get(p, SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL", &proto);
	pr_err("%s: %s sockets are not supported (family %d, type %d, protocol %d)", probe_name(p),
	       family >= 0 && family < (int)ARRAY_SIZE(names) && names[family] ? names[family]
									       : "such",
	       family, type, proto);
}

/* What it is that nobody knows how to save. */
static int refuse(const struct fd_probe *p)
{
	static const char anon[] = "anon_inode:";

	if (!strncmp(p->link, anon, strlen(anon)))
		pr_err("%s: descriptors of type %s are not supported", probe_name(p),
		       p->link + strlen(anon));
	else if (S_ISSOCK(p->st.st_mode))
		refuse_socket(p);
	else if (p->fs.f_type == MQUEUE_MAGIC)
		pr_err("%s: POSIX message queues are not supported", probe_name(p));
	else if (p->fs.f_type == SECRETMEM_MAGIC)
		pr_err("%s: secret memory (memfd_secret) is not supported", probe_name(p));
	else if (S_ISCHR(p->st.st_mode) || S_ISBLK(p->st.st_mode))
		pr_err("%s: %s device %u:%u is not supported", probe_name(p),
		       S_ISCHR(p->st.st_mode) ? "character" : "block", major(p->st.st_rdev),
		       minor(p->st.st_rdev));
	else
		pr_err("%s: this kind of file is not supported (mode 0%o, file system 0x%lx)",
		       probe_name(p), p->st.st_mode, (long)p->fs.f_type);
	return -1;
}

/* P is a description not met before: its kind makes an entry. */
static struct file *dump_new(struct op *op, struct fd_probe *p)
{
	const struct file_kind *kind = recognise(p);
	struct file *f;

	if (!kind) {
		refuse(p);
		return NULL;
	}
	f = file_new(op, kind->type);
	if (!f)
		return NULL;
	f->kind = kind;
	if (kind->dump(op, p, f) || remember(op, p, f))
		return NULL;
	if (kind->keep_fd && f->fd < 0 && p->fd >= 0)
		f->fd = move_fd(p->lfd);
	pr_debug("File %u: %s of %s", f->id, kind->name, probe_name(p));
	return f;
}

/* The description that P is a descriptor of: met before, or new. NULL: logged. */
static struct file *describe(struct op *op, struct fd_probe *p)
{
	struct known key, *k;

	p->op = op;
	probe_key(p, &key);
	k = RB_FIND(known_tree, &op->files->known, &key);
	if (k)
		return k->f;
	return probe_link(p) ? NULL : dump_new(op, p);
}

static int dump_descriptor(struct op *op, struct task *t, int fd, struct image *img)
{
	FdinfoEntry e = FDINFO_ENTRY__INIT;
	struct fd_probe p;
	struct file *f;
	int ret = probe_fd(&p, t, fd);

	if (ret)
		return ret == -2 ? 0 : -1;
	f = describe(op, &p);
	ret = f ? locks_dump_fd(op, &p, f) : -1;
	if (!ret) {
		e.id = f->id;
		e.type = f->entry->type;
		e.fd = fd;
		e.flags = p.cloexec ? FD_CLOEXEC : 0;
		ret = image_write(img, &e.base);
	}
	probe_free(&p);
	return ret;
}

int files_dump_own(struct op *op, struct task *self, int fd, uint32_t *id)
{
	struct fd_probe p;
	struct file *f;

	if (probe_fd(&p, self, fd))
		return -1;
	f = describe(op, &p);
	if (f)
		*id = f->id;
	probe_free(&p);
	return f ? 0 : -1;
}

static int dump_table(struct op *op, struct task *t)
{
	struct image *img = image_create(op->images, IMG_FDINFO, t->ids->files_id);
	int proc = task_proc(t), fd, ret = 0;
	cleanup_closedir DIR *dir = NULL;
	struct dirent *de;

	if (!img || proc < 0)
		goto fail;
	fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		pr_perror("Can't list the descriptors of task %d", t->vpid);
		goto fail;
	}
	while (!ret && (de = readdir(dir)))
		if (de->d_name[0] != '.')
			ret = dump_descriptor(op, t, atoi(de->d_name), img);
	return image_close(img) || ret ? -1 : 0;
fail:
	image_close(img);
	return -1;
}

int files_dump_mapped(struct op *op, struct task *t, int lfd, const char *link, unsigned open_flags,
		      uint32_t *id)
{
	struct fd_probe p = {
		.op = op, .task = t, .fd = -1, .lfd = lfd, .mnt_id = -1, .fdinfo = ""
	};
	struct known key, *k;
	struct file *f = NULL;

	/* CRIU gives one entry with flags 0 to all mappings of a file; how it was opened is in the VMA (fdflags) */
	p.link = xstrdup(link);
	if (!p.link)
		return -1;
	if (fstat(lfd, &p.st)) {
		pr_perror("Can't look at %s, mapped by task %d", link, t->vpid);
	} else {
		probe_key(&p, &key);
		k = RB_FIND(known_tree, &op->files->known, &key);
		if (fstatfs(lfd, &p.fs))
			p.fs.f_type = 0;
		f = k ? k->f : dump_new(op, &p);
	}
	free(p.link);
	if (f)
		*id = f->id;
	return f ? 0 : -1;
}

/* The kinds' second pass, and files.img itself. */
static int write_files(struct op *op)
{
	struct file_table *ft = op->files;
	struct image *img;
	int ret = 0;

	for (unsigned i = 0; file_kinds[i]; i++)
		if (file_kinds[i]->dump_all && file_kinds[i]->dump_all(op))
			return -1;
	img = image_create(op->images, IMG_FILES, 0);
	if (!img)
		return -1;
	for (size_t i = 0; i < ft->nr && !ret; i++)
		ret = image_write(img, &ft->v[i]->entry->base);
	return image_close(img) || ret ? -1 : 0;
}

struct task *table_owner(struct op *op, struct task *t)
{
	struct task *o;

	/* without ids (old images) every task has a table of its own */
	if (!t->ids)
		return t;
	for_each_live_task (o, op)
		if (o == t || (o->ids && o->ids->files_id == t->ids->files_id))
			return o;
	return t;
}

int files_dump(struct op *op)
{
	struct task *t;

	op->files->dumping = true;
	for_each_live_task (t, op)
		if (table_owner(op, t) == t && dump_table(op, t))
			return -1;
	for_each_live_task (t, op)
		if (fs_dump(op, t))
			return -1;
	return write_files(op) || locks_write(op) ? -1 : 0;
}
