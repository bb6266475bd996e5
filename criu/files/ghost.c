// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files without a name of their own. One that was unlinked while open (a ghost) is saved with its contents in ghost-file-ID.img;
 * one that has other names, but not the one it was opened by, gets a temporary one beside it (--link-remap); files of
 * /proc/PID of a task that is gone cannot be had. remap-fpath.img says which files are such.
 *
 * At restore a ghost is made beside its old name, opened, moved to its old name, and unlinked at once; every
 * description of it is opened through that descriptor, and shows the old name.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files/table.h"
#include "ghost-file.pb-c.h"
#include "remap-file-path.pb-c.h"
#include "util/io.h"
#include "util/log.h"

#define DEFAULT_GHOST_LIMIT (1UL << 20)
#define CHUNKED_FROM	    (256UL << 10) /* larger ghosts are saved without their holes */

struct ghost { /* dump: one per inode */
	dev_t dev;
	ino_t ino;
	uint32_t id;
	char *path; /* link remaps: the temporary name, removed again where the dump fails */
};

struct remap { /* restore: one per file id */
	uint32_t orig_id, remap_id;
	RemapType type;
	GhostFileEntry *e;
	int fd; /* any descriptor of it once made, shared among files with equal remap_id (the first has it) */
};

struct ghosts {
	struct ghost *v;
	size_t nr, cap;
	struct image *remaps;
	struct remap *r; /* restore: sorted by orig_id */
	size_t nr_remaps, remaps_cap;
};

static struct ghosts *ghosts(struct op *op)
{
	if (!op->files->ghosts)
		op->files->ghosts = xzalloc(sizeof(struct ghosts));
	return op->files->ghosts;
}

/* ---- dump ---- */

static int write_chunks(struct image *img, int fd, off_t size)
{
	off_t start = 0, end;

	while (start < size && (start = lseek(fd, start, SEEK_DATA)) >= 0) {
		GhostChunkEntry c = GHOST_CHUNK_ENTRY__INIT;

		end = lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			return -1;
		c.off = start;
		c.len = end - start;
		if (image_write(img, &c.base) || image_write_from(img, fd, &start, end - start))
			return -1;
		start = end;
	}
	return start >= 0 || errno == ENXIO ? 0 : -1;
}

static int write_contents(const struct fd_probe *p, struct image *img, bool chunks)
{
	cleanup_close int fd = reopen_fd(p->lfd, O_RDONLY | O_NOATIME);
	off_t off = 0;
	int ret;

	if (fd < 0)
		fd = reopen_fd(p->lfd, O_RDONLY);
	if (fd < 0) {
		pr_perror("Can't read the unlinked file of %s", probe_name(p));
		return -1;
	}
	ret = chunks ? write_chunks(img, fd, p->st.st_size)
		     : image_write_from(img, fd, &off, p->st.st_size);
	if (ret)
		pr_err("Can't save the contents of the unlinked file of %s", probe_name(p));
	return ret;
}

static int write_ghost(struct op *op, const struct fd_probe *p, uint32_t id)
{
	GhostFileEntry e = GHOST_FILE_ENTRY__INIT;
	Timeval atim = TIMEVAL__INIT, mtim = TIMEVAL__INIT;
	char target[PATH_MAX];
	struct image *img;
	int ret;

	e.uid = p->st.st_uid;
	e.gid = p->st.st_gid;
	e.mode = p->st.st_mode;
	e.has_dev = e.has_ino = true;
	e.dev = image_dev(p->st.st_dev);
	e.ino = p->st.st_ino;
	atim.tv_sec = p->st.st_atim.tv_sec;
	atim.tv_usec = p->st.st_atim.tv_nsec / 1000;
	mtim.tv_sec = p->st.st_mtim.tv_sec;
	mtim.tv_usec = p->st.st_mtim.tv_nsec / 1000;
	e.atim = &atim;
	e.mtim = &mtim;
	if (S_ISCHR(e.mode) || S_ISBLK(e.mode)) {
		e.has_rdev = true;
		e.rdev = p->st.st_rdev;
	}
	if (S_ISLNK(e.mode)) {
		ssize_t n = readlinkat(p->lfd, "", target, sizeof(target) - 1);

		if (n < 0) {
			pr_perror("Can't read the unlinked symbolic link of %s", probe_name(p));
			return -1;
		}
		target[n] = 0;
		e.symlnk_target = target;
	}
	if (S_ISREG(e.mode) && (uint64_t)p->st.st_size >= CHUNKED_FROM) {
		e.has_chunks = e.chunks = e.has_size = true;
		e.size = p->st.st_size;
	}
	img = image_create(op->images, IMG_GHOST_FILE, id);
	if (!img)
		return -1;
	ret = image_write(img, &e.base);
	if (!ret && S_ISREG(e.mode))
		ret = write_contents(p, img, e.chunks);
	return image_close(img) || ret ? -1 : 0;
}

static int add_remap(struct op *op, uint32_t orig_id, uint32_t remap_id, RemapType type)
{
	struct ghosts *g = ghosts(op);
	RemapFilePathEntry e = REMAP_FILE_PATH_ENTRY__INIT;

	if (!g->remaps)
		g->remaps = image_create(op->images, IMG_REMAP_FPATH, 0);
	if (!g->remaps)
		return -1;
	e.orig_id = orig_id;
	e.remap_id = remap_id;
	e.has_remap_type = true;
	e.remap_type = type;
	return image_write(g->remaps, &e.base);
}

static struct ghost *ghost_of(struct ghosts *g, const struct stat *st)
{
	for (size_t i = 0; i < g->nr; i++)
		if (g->v[i].dev == st->st_dev && g->v[i].ino == st->st_ino)
			return &g->v[i];
	return NULL;
}

static struct ghost *ghost_add(struct ghosts *g, const struct stat *st, uint32_t id)
{
	if (xgrow(&g->v, &g->cap, g->nr, sizeof(*g->v)))
		return NULL;
	g->v[g->nr] = (struct ghost){ .dev = st->st_dev, .ino = st->st_ino, .id = id };
	return &g->v[g->nr++];
}

/* The file has other names: give it one more, beside the one it was opened by. */
static int link_remap(struct op *op, const struct fd_probe *p, struct file *f)
{
	struct ghosts *g = ghosts(op);
	struct ghost *have = ghost_of(g, &p->st);
	cleanup_free char *dir = xstrdup(f->entry->reg->name);
	char self[32];
	struct file *to;

	if (!dir)
		return -1;
	if (have)
		return add_remap(op, f->id, have->id, REMAP_TYPE__LINKED);
	if (!opts.link_remap) {
		pr_err("%s has lost this name but has others: --link-remap gives it a temporary "
		       "one",
		       probe_name(p));
		return -1;
	}
	to = file_new(op, FD_TYPES__REG);
	if (!to || !(to->entry->reg = NEW_MSG(RegFileEntry, reg_file_entry)))
		return -1;
	*to->entry->reg = *f->entry->reg;
	to->entry->reg->id = to->id;
	to->entry->reg->build_id = NULL;
	to->entry->reg->n_build_id = 0;
	to->entry->reg->fown = fown_dump(p);
	to->entry->reg->name = xasprintf("%s/link_remap.%u", dirname(dir), to->id);
	if (!to->entry->reg->name || !to->entry->reg->fown ||
	    !(have = ghost_add(g, &p->st, to->id)))
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", p->lfd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, to->entry->reg->name, AT_SYMLINK_FOLLOW)) {
		pr_perror("Can't give %s the temporary name %s", probe_name(p),
			  to->entry->reg->name);
		return -1;
	}
	have->path = xstrdup(to->entry->reg->name);
	return add_remap(op, f->id, to->id, REMAP_TYPE__LINKED);
}

int ghost_dump(struct op *op, const struct fd_probe *p, struct file *f, bool other_there)
{
	uint64_t limit = opts.ghost_limit ?: DEFAULT_GHOST_LIMIT;
	struct ghosts *g = ghosts(op);
	struct ghost *have;

	if (!g)
		return -1;
	if (p->fs.f_type == PROC_SUPER_MAGIC) {
		pr_err("%s belongs to a task that is gone: not supported", probe_name(p));
		return -1;
	}
	if (p->st.st_nlink && !S_ISDIR(p->st.st_mode))
		return link_remap(op, p, f);
	if (S_ISDIR(p->st.st_mode) && p->st.st_nlink && other_there) {
		pr_err("%s: this name leads to another directory now (mounted over?)",
		       probe_name(p));
		return -1;
	}
	have = ghost_of(g, &p->st);
	if (!have) {
		if (S_ISREG(p->st.st_mode) && (uint64_t)p->st.st_blocks * 512 > limit) {
			pr_err("%s is unlinked and has %lu bytes, more than --ghost-limit (%lu)",
			       probe_name(p), (uint64_t)p->st.st_blocks * 512, limit);
			return -1;
		}
		have = ghost_add(g, &p->st, g->nr + 1);
		if (!have || write_ghost(op, p, have->id))
			return -1;
	}
	return add_remap(op, f->id, have->id, REMAP_TYPE__GHOST);
}

int ghosts_dump_all(struct op *op)
{
	struct ghosts *g = op->files->ghosts;
	struct image *img = g ? g->remaps : NULL;

	if (g)
		g->remaps = NULL;
	return image_close(img);
}

/* ---- restore ---- */

static int order_remaps(const void *a, const void *b)
{
	uint32_t x = ((const struct remap *)a)->orig_id, y = ((const struct remap *)b)->orig_id;

	return x < y ? -1 : x > y;
}

static struct remap *remap_of(struct op *op, uint32_t id)
{
	struct ghosts *g = op->files->ghosts;
	struct remap key = { .orig_id = id };

	return g && g->nr_remaps ? bsearch(&key, g->r, g->nr_remaps, sizeof(key), order_remaps)
				 : NULL;
}

bool ghost_is(struct op *op, uint32_t id)
{
	return remap_of(op, id);
}

/* The entry; contents follow it. */
static int read_ghost(struct op *op, struct remap *r)
{
	struct image *img = image_open(op->images, IMG_GHOST_FILE, r->remap_id, true);
	int ret = img ? image_read_as(img, &r->e) : -1;

	if (!ret)
		pr_err("%s is empty", image_name(img));
	image_close(img);
	return ret == 1 ? 0 : -1;
}

static int collect_remap(struct op *op, RemapFilePathEntry *m)
{
	struct ghosts *g = op->files->ghosts;
	struct file *f = file_by_id(op, m->orig_id);
	struct remap *r;

	if (xgrow(&g->r, &g->remaps_cap, g->nr_remaps, sizeof(*g->r)))
		return -1;
	r = &g->r[g->nr_remaps++];
	*r = (struct remap){ .orig_id = m->orig_id, .remap_id = m->remap_id, .fd = -1 };
	if (m->has_remap_type)
		r->type = m->remap_type;
	else
		r->type = m->remap_id >> 31 ? REMAP_TYPE__GHOST : REMAP_TYPE__LINKED;
	if (!m->has_remap_type)
		r->remap_id &= ~(1U << 31); /* the old form */
	if (!f || !f->entry->reg) {
		/* sockets' names are remapped too */
		if (f && f->entry->usk)
			return 0;
		pr_err("remap-fpath.img: no file with id %u", m->orig_id);
		return -1;
	}
	if (r->type == REMAP_TYPE__LINKED) {
		f = file_by_id(op, r->remap_id);
		if (f && f->entry->reg)
			return 0;
		pr_err("remap-fpath.img: no file with id %u", r->remap_id);
		return -1;
	}
	if (r->type == REMAP_TYPE__GHOST)
		return read_ghost(op, r);
	pr_err("File %s belongs to a task that was gone at dump: not supported",
	       f->entry->reg->name);
	return -1;
}

int ghost_collect(struct op *op)
{
	struct image *img = image_open(op->images, IMG_REMAP_FPATH, 0, false);
	struct ghosts *g = ghosts(op);
	RemapFilePathEntry *m;
	int ret = 0;

	if (!g || !img)
		return g && errno == ENOENT ? 0 : -1;
	while (!ret && (ret = image_read_as(img, &m)) > 0) {
		ret = collect_remap(op, m);
		remap_file_path_entry__free_unpacked(m, NULL);
	}
	image_close(img);
	if (g->nr_remaps)
		qsort(g->r, g->nr_remaps, sizeof(*g->r), order_remaps);
	return ret;
}

static int read_chunks(struct image *img, int fd, uint64_t size)
{
	const ProtobufCMessageDescriptor *d = &ghost_chunk_entry__descriptor;
	cleanup_free char *buf = xmalloc(1 << 16);
	GhostChunkEntry *c;
	int ret;

	if (!buf)
		return -1;
	while ((ret = image_read_desc(img, d, (ProtobufCMessage **)&c)) > 0) {
		uint64_t off = c->off, left = c->len;

		ghost_chunk_entry__free_unpacked(c, NULL);
		if (off > size || left > size - off) {
			pr_err("%s: a chunk lies beyond the end of the file", image_name(img));
			return -1;
		}
		while (left) {
			size_t n = min(left, 1UL << 16);

			if (image_read_raw(img, buf, n) || pwrite_full(fd, buf, n, off))
				return -1;
			off += n;
			left -= n;
		}
	}
	return ret < 0 || ftruncate(fd, size) ? -1 : 0;
}

static int fill_ghost(struct op *op, const struct remap *r, int fd, const char *name)
{
	struct image *img = image_open(op->images, IMG_GHOST_FILE, r->remap_id, true);
	cleanup_free char *buf = xmalloc(1 << 16);
	ProtobufCMessage *e = NULL;
	int ret = -1;

	if (!img || !buf || image_read(img, &e) != 1)
		goto out;
	ret = 0;
	if (r->e->chunks) {
		ret = read_chunks(img, fd, r->e->size);
	} else {
		off_t left = image_bytes_left(img);

		while (left > 0 && !ret) {
			size_t n = min(left, (off_t)1 << 16);

			ret = image_read_raw(img, buf, n) || write_full(fd, buf, n) ? -1 : 0;
			left -= n;
		}
	}
	if (ret)
		pr_err("Can't fill the unlinked file %s", name);
out:
	if (e)
		protobuf_c_message_free_unpacked(e, NULL);
	image_close(img);
	return ret;
}

/* Makes the object PATH; 0, or -1 with errno (EEXIST where the name is taken). */
static int make_node(const GhostFileEntry *e, const char *path)
{
	if (S_ISDIR(e->mode))
		return mkdir(path, 0700);
	if (S_ISLNK(e->mode))
		return symlink(e->symlnk_target ?: "", path);
	return mknod(path, (e->mode & S_IFMT) | 0600, e->has_rdev ? e->rdev : 0);
}

/* Directories of the name that went too: made, and removed when the ghost is open. Their number. */
static int make_parents(const char *path)
{
	cleanup_free char *p = xstrdup(path);
	int made = 0;

	for (char *s = p ? strchr(p + 1, '/') : NULL; s; s = strchr(s + 1, '/')) {
		*s = 0;
		if (!mkdir(p, 0755))
			made++;
		*s = '/';
	}
	return made;
}

static void remove_parents(const char *path, int made)
{
	cleanup_free char *p = xstrdup(path);
	char *s;

	while (p && made-- > 0 && (s = strrchr(p, '/')) && s > p) {
		*s = 0;
		rmdir(p);
	}
}

static int set_attributes(const GhostFileEntry *e, int fd)
{
	struct timespec times[2] = { { 0 }, { 0 } };
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", e->uid, e->gid, AT_EMPTY_PATH))
		return -1;
	if (S_ISLNK(e->mode))
		return 0;
	if (chmod(self, e->mode & 07777))
		return -1;
	if (!e->atim || !e->mtim)
		return 0;
	times[0].tv_sec = e->atim->tv_sec;
	times[0].tv_nsec = e->atim->tv_usec * 1000;
	times[1].tv_sec = e->mtim->tv_sec;
	times[1].tv_nsec = e->mtim->tv_usec * 1000;
	return utimensat(AT_FDCWD, self, times, 0);
}

/*
 * The object at TMP shall be known as NAME, and have no name. It is moved to NAME and unlinked; where NAME is taken by
 * another file, the two change places, and that other is moved back over it, which unlinks it as well.
 */
static int unlink_as(const char *tmp, const char *name, bool is_dir)
{
	int how = is_dir ? AT_REMOVEDIR : 0;

	if (!renameat2(AT_FDCWD, tmp, AT_FDCWD, name, RENAME_NOREPLACE))
		return unlinkat(AT_FDCWD, name, how);
	if (errno != EEXIST || renameat2(AT_FDCWD, tmp, AT_FDCWD, name, RENAME_EXCHANGE))
		return unlinkat(AT_FDCWD, tmp, how); /* it keeps the temporary name */
	if (!rename(tmp, name))
		return 0;
	/* a directory and something else cannot replace each other */
	return unlinkat(AT_FDCWD, name, how) || rename(tmp, name) ? -1 : 0;
}

static int fill_and_set(struct op *op, const struct remap *r, const char *path)
{
	cleanup_close int rw = -1;

	if (S_ISREG(r->e->mode)) {
		rw = reopen_fd(r->fd, O_RDWR);
		if (rw < 0)
			pr_perror("Can't write the unlinked file %s", path);
		if (rw < 0 || fill_ghost(op, r, rw, path))
			return -1;
	}
	if (!set_attributes(r->e, r->fd))
		return 0;
	pr_perror("Can't set owner, mode and times of the unlinked file %s", path);
	return -1;
}

/* Makes what R means beside NAME, opens it, and takes its name away. */
static int make_ghost(struct op *op, struct remap *r, const char *name, const char *linked_to)
{
	cleanup_free char *tmp = xasprintf("%s.criu-%d-%u", name, getpid(), r->orig_id);
	int parents, ret = 0;

	if (!tmp)
		return -1;
	parents = make_parents(name);
	if (linked_to ? linkat(AT_FDCWD, linked_to, AT_FDCWD, tmp, 0) : make_node(r->e, tmp)) {
		pr_perror("Can't make the unlinked file %s", name);
		remove_parents(name, parents);
		return -1;
	}
	r->fd = file_open_path(op, tmp, O_PATH | O_NOFOLLOW, 0);
	if (r->fd < 0) {
		pr_perror("Can't open the unlinked file %s", name);
		ret = -1;
	}
	if (!ret && !linked_to)
		ret = fill_and_set(op, r, name);
	if (unlink_as(tmp, name, r->e && S_ISDIR(r->e->mode))) {
		pr_perror("Can't unlink %s", name);
		ret = -1;
	}
	remove_parents(name, parents);
	return ret;
}

int ghost_open(struct op *op, struct file *f, int *fd)
{
	struct ghosts *g = op->files->ghosts;
	struct remap *r = remap_of(op, f->id), *first;
	const char *name = f->entry->reg->name, *linked_to = NULL;

	/* one ghost may have been opened by several names; ghosts are one inode, names one directory entry each */
	for (first = g->r; first->remap_id != r->remap_id || first->type != r->type ||
			   (r->type == REMAP_TYPE__LINKED &&
			    strcmp(file_by_id(op, first->orig_id)->entry->reg->name, name));
	     first++)
		;
	if (r->type == REMAP_TYPE__LINKED)
		linked_to = file_by_id(op, r->remap_id)->entry->reg->name;
	if (first->fd < 0 && make_ghost(op, first, name, linked_to))
		return -1;
	*fd = first->fd;
	return 0;
}

void ghosts_restored(struct op *op)
{
	struct ghosts *g = op->files->ghosts;

	for (size_t i = 0; g && i < g->nr_remaps; i++) {
		struct file *to = file_by_id(op, g->r[i].remap_id);

		if (g->r[i].type == REMAP_TYPE__LINKED && to && to->entry->reg &&
		    unlink(to->entry->reg->name) && errno != ENOENT)
			pr_warn("Can't remove the temporary name %s: %s", to->entry->reg->name,
				strerror(errno));
	}
}

void ghosts_free(struct op *op)
{
	struct ghosts *g = op->files->ghosts;

	if (!g)
		return;
	for (size_t i = 0; i < g->nr; i++) {
		if (op->failed && g->v[i].path)
			unlink(g->v[i].path);
		free(g->v[i].path);
	}
	for (size_t i = 0; i < g->nr_remaps; i++) {
		close_safe(&g->r[i].fd);
		if (g->r[i].e)
			ghost_file_entry__free_unpacked(g->r[i].e, NULL);
	}
	image_close(g->remaps);
	free(g->v);
	free(g->r);
	free(g);
	op->files->ghosts = NULL;
}
