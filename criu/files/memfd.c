// SPDX-License-Identifier: GPL-2.0-only
/*
 * memfd_create(2), and the objects behind anonymous shared mappings, which the kernel calls "/dev/zero (deleted)" and
 * which CRIU saves in the same way. Several descriptions and mappings may share one object: memfd_file_entry
 * in files.img refers to memfd_inode_entry in memfd.img by inode_id; contents are in pagemap-shmem-<shmid>.img (mem/shmem.c).
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "files/kinds.h"
#include "mem/huge.h"
#include "mem/shmem.h"
#include "util/hash.h"
#include "util/io.h"
#include "util/log.h"

#define ANONYMOUS_NAME "/dev/zero"
#define HUGETLB_NAME   "/anon_hugepage"
#define DELETED	       " (deleted)"

struct memfd {
	struct {
		uint64_t dev, ino; /* dump; restore: 0 and inode_id */
	} key;
	MemfdInodeEntry *e;
	int fd;
	UT_hash_handle hh;
};

struct memfds {
	struct memfd *hash;
	uint32_t last_id, last_free_shmid;
};

static struct memfds *memfds(struct op *op)
{
	if (!op->files->memfds)
		op->files->memfds = xzalloc(sizeof(struct memfds));
	return op->files->memfds;
}

static struct memfd *find(struct memfds *ms, uint64_t dev, uint64_t ino)
{
	struct memfd key = { .key = { dev, ino } }, *m;

	HASH_FIND(hh, ms->hash, &key.key, sizeof(key.key), m);
	return m;
}

static struct memfd *add(struct memfds *ms, uint64_t dev, uint64_t ino, MemfdInodeEntry *e)
{
	struct memfd *m = xzalloc(sizeof(*m));

	if (!m)
		return NULL;
	m->key.dev = dev;
	m->key.ino = ino;
	m->e = e;
	m->fd = -1;
	HASH_ADD(hh, ms->hash, key, sizeof(m->key), m);
	if (hash_added(m))
		return m;
	free(m);
	return NULL;
}

/* ---- dump ---- */

static bool memfd_recognise(const struct fd_probe *p)
{
	size_t len = strlen(p->link), n = strlen(DELETED);

	if (!S_ISREG(p->st.st_mode) || p->st.st_nlink)
		return false;
	return !strncmp(p->link, "/memfd:", 7) || !strcmp(p->link, ANONYMOUS_NAME DELETED) ||
	       (len > n && !strcmp(p->link, HUGETLB_NAME DELETED));
}

/* The object's name without the kernel's decoration. */
static char *object_name(const char *link)
{
	char *name = xstrdup(!strncmp(link, "/memfd:", 7) ? link + 7 : link);
	size_t len = name ? strlen(name) : 0, n = strlen(DELETED);

	if (len >= n && !strcmp(name + len - n, DELETED))
		name[len - n] = 0;
	return name;
}

/* Image ids have 32 bits, inode numbers need not. */
static uint32_t pick_shmid(struct memfds *ms, ino_t ino)
{
	struct memfd *m;
	uint32_t id = ino;

	for (m = ms->hash; m;) {
		if (m->e->shmid == id) {
			id = ++ms->last_free_shmid;
			m = ms->hash;
		} else {
			m = m->hh.next;
		}
	}
	return id;
}

static int inode_of(struct op *op, const struct fd_probe *p, uint32_t *id)
{
	struct memfds *ms = memfds(op);
	struct memfd *m = ms ? find(ms, p->st.st_dev, p->st.st_ino) : NULL;
	MemfdInodeEntry *e;

	if (m)
		*id = m->e->inode_id;
	if (m || !ms)
		return ms ? 0 : -1;
	e = NEW_MSG(MemfdInodeEntry, memfd_inode_entry);
	if (!e || !(e->name = object_name(p->link)))
		return -1;
	e->shmid = pick_shmid(ms, p->st.st_ino);
	m = add(ms, p->st.st_dev, p->st.st_ino, e);
	if (!m)
		return -1;
	m->fd = reopen_fd(p->lfd, O_RDONLY);
	if (m->fd < 0 || (int)(e->seals = fcntl(m->fd, F_GET_SEALS)) < 0) {
		pr_perror("Can't look into the shared memory of %s", probe_name(p));
		return -1;
	}
	e->inode_id = *id = ++ms->last_id;
	e->uid = p->st.st_uid;
	e->gid = p->st.st_gid;
	e->size = p->st.st_size;
	e->has_mode = true;
	e->mode = p->st.st_mode;
	if (p->fs.f_type == HUGETLBFS_MAGIC) {
		e->has_hugetlb_flag = true;
		e->hugetlb_flag = MFD_HUGETLB | (hugetlb_flags(p->fs.f_bsize) & ~MAP_HUGETLB);
	}
	return 0;
}

static int memfd_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	MemfdFileEntry *e = f->entry->memfd = NEW_MSG(MemfdFileEntry, memfd_file_entry);

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	e->id = f->id;
	e->flags = p->flags;
	e->pos = p->pos;
	return inode_of(op, p, &e->inode_id);
}

static int memfds_dump_all(struct op *op)
{
	struct memfds *ms = op->files->memfds;
	struct image *img;
	int ret = 0;

	if (!ms || !ms->hash)
		return 0;
	img = image_create(op->images, IMG_MEMFD_INODE, 0);
	if (!img)
		return -1;
	for (struct memfd *m = ms->hash; m && !ret; m = m->hh.next) {
		ret = image_write(img, &m->e->base) ||
		      shmem_dump(op->images, m->fd, m->e->size, m->e->shmid);
		close_safe(&m->fd);
	}
	return image_close(img) || ret ? -1 : 0;
}

/* ---- restore ---- */

static int memfds_collect(struct op *op)
{
	struct image *img = image_open(op->images, IMG_MEMFD_INODE, 0, false);
	struct memfds *ms = memfds(op);
	MemfdInodeEntry *e;
	int ret = 0;

	if (!ms || (!img && errno != ENOENT))
		return -1;
	while (img && (ret = image_read_as(img, &e)) > 0)
		if (find(ms, 0, e->inode_id) || !add(ms, 0, e->inode_id, e)) {
			pr_err("memfd.img: two objects with id %lu", e->inode_id);
			memfd_inode_entry__free_unpacked(e, NULL);
			ret = -1;
			break;
		}
	image_close(img);
	for (size_t i = 0; i < op->files->nr && !ret; i++) {
		MemfdFileEntry *f = op->files->v[i]->entry->memfd;

		if (!f || find(ms, 0, f->inode_id))
			continue;
		pr_err("memfd.img has no object %u, which file %u refers to", f->inode_id, f->id);
		ret = -1;
	}
	return ret;
}

static int create(const MemfdInodeEntry *e)
{
	unsigned huge = e->has_hugetlb_flag ? e->hugetlb_flag : 0, flags = MFD_CLOEXEC | huge;
	bool anonymous = !strcmp(e->name, huge ? HUGETLB_NAME : ANONYMOUS_NAME);
	int fd = -1;

	if (huge) /* the size of the pages has the same place in both */
		huge = MAP_HUGETLB | (huge & ~MFD_HUGETLB);
	if (anonymous && e->seals == F_SEAL_SEAL)
		fd = shmem_anonymous(e->size, huge);
	if (fd >= 0)
		return fd;
	if (e->seals != F_SEAL_SEAL)
		flags |= MFD_ALLOW_SEALING;
	return memfd_create(e->name, flags);
}

/* The object with its contents, made at first use; its descriptor stays ours. */
static struct memfd *materialise(struct op *op, uint32_t inode_id)
{
	struct memfd *m = find(op->files->memfds, 0, inode_id);
	const MemfdInodeEntry *e = m->e;

	if (m->fd >= 0)
		return m;
	m->fd = create(e);
	if (m->fd < 0) {
		pr_perror("Can't make the shared memory object %s%s", e->name,
			  e->has_hugetlb_flag ? " (of huge pages: are there enough that are free?)"
					      : "");
		return NULL;
	}
	if (ftruncate(m->fd, e->size) || fchown(m->fd, e->uid, e->gid) ||
	    (e->has_mode && fchmod(m->fd, e->mode & 07777))) {
		pr_perror("Can't set size, owner and mode of the shared memory object %s", e->name);
		return NULL;
	}
	return shmem_restore(op->images, m->fd, e->size, e->shmid) ? NULL : m;
}

static int memfd_open_mapped(struct op *op, struct file *f, unsigned open_flags)
{
	struct memfd *m = materialise(op, f->entry->memfd->inode_id);
	int fd;

	if (!m)
		return -1;
	fd = reopen_fd(m->fd, open_flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_ASYNC));
	if (fd < 0)
		pr_perror("Can't open the shared memory object %s", m->e->name);
	return fd;
}

static int memfd_open(struct op *op, struct file *f)
{
	MemfdFileEntry *e = f->entry->memfd;

	f->fd = memfd_open_mapped(op, f, e->flags);
	if (f->fd < 0)
		return -1;
	if (e->pos && lseek(f->fd, e->pos, SEEK_SET) < 0) {
		pr_perror("Can't set the position of a memfd to %lu", e->pos);
		return -1;
	}
	return 0;
}

/* Seals come last: F_SEAL_FUTURE_WRITE would forbid the mappings that were there before it. */
static int memfds_opened(struct op *op)
{
	struct memfds *ms = op->files->memfds;

	for (struct memfd *m = ms->hash; m; m = m->hh.next) {
		unsigned seals = m->e->seals;

		if (m->fd < 0 || !seals || seals == F_SEAL_SEAL)
			continue;
		if (fcntl(m->fd, F_ADD_SEALS, seals)) {
			pr_perror("Can't seal memfd %s (0x%x)", m->e->name, seals);
			return -1;
		}
	}
	return 0;
}

static void memfds_free(struct op *op)
{
	struct memfds *ms = op->files->memfds;
	struct memfd *m, *next;

	if (!ms)
		return;
	HASH_ITER (hh, ms->hash, m, next) {
		HASH_DEL(ms->hash, m);
		close_safe(&m->fd);
		memfd_inode_entry__free_unpacked(m->e, NULL);
		free(m);
	}
	free(ms);
	op->files->memfds = NULL;
}

const struct file_kind memfd_kind = {
	.name = "shared memory",
	.type = FD_TYPES__MEMFD,
	.recognise = memfd_recognise,
	.dump = memfd_dump,
	.dump_all = memfds_dump_all,
	.collect = memfds_collect,
	.open = memfd_open,
	.opened = memfds_opened,
	.open_mapped = memfd_open_mapped,
	.finish = fown_finish,
	.free = memfds_free,
};
