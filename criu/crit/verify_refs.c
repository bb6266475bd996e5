// SPDX-License-Identifier: GPL-2.0-only
/* What images say of each other: tasks and their images, descriptors and files, files and what they stand on. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "file-lock.pb-c.h"
#include "mem/pagemap.h"
#include "memfd.pb-c.h"
#include "pipe-data.pb-c.h"
#include "remap-file-path.pb-c.h"
#include "sk-packet.pb-c.h"
#include "util/log.h"
#include "util/mmap_flags.h"
#include "util/xmalloc.h"
#include "verify.h"

#define MAX_FD (1U << 30) /* fs.nr_open is below it */

/* ---- the tree ---- */

static void check_threads(struct verify *v, const PstreeEntry *t)
{
	if (!t->n_threads)
		problem(v, "pstree.img: task %u has no thread", t->pid);
	else if (t->threads[0] != t->pid)
		problem(v, "pstree.img: the first thread of task %u is %u", t->pid, t->threads[0]);
	for (size_t i = 1; i < t->n_threads; i++) {
		CoreEntry *core = checkpoint_core(&v->ck, t->threads[i]);

		if (!core) {
			v->nr_problems++;
			continue;
		}
		if (!core->thread_core)
			problem(v, "core-%u.img: has no thread_core, but is a thread of task %u",
				t->threads[i], t->pid);
		core_entry__free_unpacked(core, NULL);
	}
}

static void check_place(struct verify *v, const PstreeEntry *t)
{
	if (!t->pid)
		problem(v, "pstree.img: a task has the pid 0");
	for (size_t i = 0; v->ck.tasks[i] != t; i++)
		if (v->ck.tasks[i]->pid == t->pid)
			problem(v, "pstree.img: two tasks have the pid %u", t->pid);
	if (t->ppid && !checkpoint_task(&v->ck, t->ppid))
		problem(v, "pstree.img: the parent of task %u, %u, is not in the tree", t->pid,
			t->ppid);
	if (t->ppid == t->pid)
		problem(v, "pstree.img: task %u is its own parent", t->pid);
}

static void check_roots(struct verify *v)
{
	unsigned roots = 0;

	for (size_t i = 0; i < v->ck.nr_tasks; i++)
		roots += !v->ck.tasks[i]->ppid;
	if (roots != 1)
		problem(v, "pstree.img: the tree has %u roots", roots);
}

/* ---- memory ---- */

static bool is_mapped_file(const struct verify *v, const VmaEntry *a)
{
	const FileEntry *f = checkpoint_file(&v->ck, a->shmid);

	return f && (f->reg || f->memfd || f->bpf || f->ext);
}

static void check_area(struct verify *v, uint32_t pid, const VmaEntry *a)
{
	const uint32_t kinds = VMA_STATUS_FILE_PRIVATE | VMA_STATUS_FILE_SHARED |
			       VMA_STATUS_ANON_SHARED | VMA_STATUS_ANON_PRIVATE |
			       VMA_STATUS_SYSVIPC | VMA_STATUS_SOCKET;
	const uint32_t file = VMA_STATUS_FILE_PRIVATE | VMA_STATUS_FILE_SHARED;
	bool shared = a->flags & MAP_SHARED;

	if (!(a->status & kinds))
		problem(v, "mm-%u.img: area 0x%" PRIx64 " is of no kind (status 0x%x)", pid,
			a->start, a->status);
	if (shared == !!(a->flags & MAP_PRIVATE) && (a->flags & MAP_TYPE) != MAP_DROPPABLE)
		problem(v, "mm-%u.img: area 0x%" PRIx64 " is neither shared nor private (0x%x)",
			pid, a->start, a->flags);
	if (a->status & file && !is_mapped_file(v, a))
		problem(v,
			"mm-%u.img: area 0x%" PRIx64 " maps file %" PRIu64
			", which files.img does not have or which cannot be mapped",
			pid, a->start, a->shmid);
}

/* Every page must lie in an area of private memory. */
static void check_pages(struct verify *v, uint32_t pid, const MmEntry *mm)
{
	struct pagemap *pm = pagemap_open(v->ck.dir, IMG_PAGEMAP, pid);
	size_t a = 0;

	if (!pm) {
		v->nr_problems += errno != ENOENT;
		return;
	}
	for (size_t i = 0; i < pm->nr; i++) {
		uint64_t at = pm->runs[i].start, end = at + pm->runs[i].nr_pages * PAGE_SIZE;

		while (at < end) {
			while (a < mm->n_vmas && mm->vmas[a]->end <= at)
				a++;
			if (a == mm->n_vmas || mm->vmas[a]->start > at) {
				problem(v, "pagemap-%u.img: pages at 0x%" PRIx64 " lie in no area",
					pid, at);
				break;
			}
			if (!(mm->vmas[a]->status &
			      (VMA_STATUS_ANON_PRIVATE | VMA_STATUS_FILE_PRIVATE))) {
				problem(v,
					"pagemap-%u.img: pages at 0x%" PRIx64
					" lie in an area that is not private",
					pid, at);
				break;
			}
			at = mm->vmas[a]->end;
		}
	}
	pagemap_close(pm);
}

static void check_mm(struct verify *v, uint32_t pid)
{
	MmEntry *mm = checkpoint_mm(&v->ck, pid);
	const FileEntry *exe = mm ? checkpoint_file(&v->ck, mm->exe_file_id) : NULL;

	if (!mm) {
		v->nr_problems++;
		return;
	}
	if (!exe)
		problem(v, "mm-%u.img: the executable is file %u, which files.img does not have",
			pid, mm->exe_file_id);
	if (checkpoint_check_vmas(mm, pid)) {
		v->nr_problems++;
	} else {
		for (size_t i = 0; i < mm->n_vmas; i++)
			check_area(v, pid, mm->vmas[i]);
		check_pages(v, pid, mm);
	}
	mm_entry__free_unpacked(mm, NULL);
}

/* ---- descriptors ---- */

struct fd_check {
	struct verify *v;
	uint32_t files_id;
	uint8_t *seen; /* a bit per descriptor */
	size_t len;
};

static bool seen_before(struct fd_check *c, uint32_t fd)
{
	size_t byte = fd / 8, cap = c->len;
	uint8_t bit = 1 << fd % 8;
	bool old;

	if (byte >= cap) {
		if (xgrow(&c->seen, &c->len, byte, 1))
			return false;
		memset(c->seen + cap, 0, c->len - cap);
	}
	old = c->seen[byte] & bit;
	c->seen[byte] |= bit;
	return old;
}

static int check_fd(const ProtobufCMessage *msg, void *arg)
{
	const FdinfoEntry *e = (const FdinfoEntry *)msg;
	struct fd_check *c = arg;
	const FileEntry *f = checkpoint_file(&c->v->ck, e->id);

	if (!f)
		problem(c->v,
			"fdinfo-%u.img: descriptor %u is file %u, which files.img does not have",
			c->files_id, e->fd, e->id);
	else if (f->type != e->type)
		problem(c->v, "fdinfo-%u.img: descriptor %u is a %s, file %u in files.img a %s",
			c->files_id, e->fd, file_type_name(e->type), e->id,
			file_type_name(f->type));
	if (e->fd > MAX_FD)
		problem(c->v, "fdinfo-%u.img: no descriptor can have the number %u", c->files_id,
			e->fd);
	else if (seen_before(c, e->fd))
		problem(c->v, "fdinfo-%u.img: descriptor %u is there twice", c->files_id, e->fd);
	return 0;
}

static void check_fds(struct verify *v, uint32_t files_id)
{
	struct fd_check c = { .v = v, .files_id = files_id };

	if (checkpoint_each(&v->ck, IMG_FDINFO, files_id, check_fd, &c))
		v->nr_problems++;
	free(c.seen);
}

static void check_fs(struct verify *v, uint32_t pid)
{
	FsEntry *fs = checkpoint_fs(&v->ck, pid);

	if (!fs) {
		v->nr_problems++;
		return;
	}
	if (!checkpoint_file(&v->ck, fs->cwd_id))
		problem(v,
			"fs-%u.img: the working directory is file %u, which files.img does not "
			"have",
			pid, fs->cwd_id);
	if (!checkpoint_file(&v->ck, fs->root_id))
		problem(v, "fs-%u.img: the root is file %u, which files.img does not have", pid,
			fs->root_id);
	fs_entry__free_unpacked(fs, NULL);
}

static void check_alive(struct verify *v, const PstreeEntry *t, const CoreEntry *core)
{
	TaskKobjIdsEntry *ids = NULL;
	int ret = checkpoint_ids(&v->ck, t->pid, &ids);

	check_threads(v, t);
	if (!core->thread_core)
		problem(v, "core-%u.img: has no thread_core", t->pid);
	if (!core->thread_info && core->mtype == CORE_ENTRY__MARCH__X86_64)
		problem(v, "core-%u.img: has no registers", t->pid);
	check_mm(v, t->pid);
	check_fs(v, t->pid);
	if (ret < 0)
		v->nr_problems++;
	else if (!ret)
		problem(v, "task %u has no ids (ids-%u.img)", t->pid, t->pid);
	if (ret <= 0)
		return;
	check_fds(v, ids->files_id);
	task_kobj_ids_entry__free_unpacked(ids, NULL);
}

void verify_tasks(struct verify *v)
{
	check_roots(v);
	for (size_t i = 0; i < v->ck.nr_tasks; i++) {
		const PstreeEntry *t = v->ck.tasks[i];
		CoreEntry *core = checkpoint_core(&v->ck, t->pid);

		check_place(v, t);
		if (!core) {
			v->nr_problems++;
			continue;
		}
		if (!core->tc)
			problem(v, "core-%u.img: does not describe a task", t->pid);
		else if (checkpoint_is_alive(core))
			check_alive(v, t, core);
		core_entry__free_unpacked(core, NULL);
	}
}

/* ---- what files stand on ---- */

/* The part of the entry that its type promises, and its id. */
static void check_part(struct verify *v, const FileEntry *e)
{
	const ProtobufCMessageDescriptor *d = e->base.descriptor;
	unsigned parts = 0;

	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const ProtobufCMessage *part;
		const ProtobufCFieldDescriptor *id;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		part = *(ProtobufCMessage *const *)((const char *)e + f->offset);
		if (!part)
			continue;
		parts++;
		id = protobuf_c_message_descriptor_get_field_by_name(part->descriptor, "id");
		if (id && *(const uint32_t *)((const char *)part + id->offset) != e->id)
			problem(v, "files.img: file %u calls itself %u", e->id,
				*(const uint32_t *)((const char *)part + id->offset));
	}
	if (parts != 1)
		problem(v, "files.img: file %u (%s) has %u descriptions", e->id,
			file_type_name(e->type), parts);
}

struct search {
	struct verify *v;
	uint64_t id;
	bool found;
};

static int match_memfd(const ProtobufCMessage *msg, void *arg)
{
	struct search *s = arg;

	s->found |= ((const MemfdInodeEntry *)msg)->inode_id == s->id;
	return 0;
}

static bool unix_ino_exists(const struct verify *v, uint32_t ino)
{
	struct checkpoint_file *f, *tmp;

	HASH_ITER (hh, v->ck.files, f, tmp)
		if (f->e->usk && f->e->usk->ino == ino)
			return true;
	return false;
}

static void check_stands_on(struct verify *v, const FileEntry *e)
{
	struct search s = { .v = v };

	if (e->fifo && e->fifo->has_regf_id && !checkpoint_file(&v->ck, e->fifo->regf_id))
		problem(v, "files.img: FIFO %u is file %u on disk, which is not there", e->id,
			e->fifo->regf_id);
	if (e->memfd) {
		s.id = e->memfd->inode_id;
		if (checkpoint_each(&v->ck, IMG_MEMFD_INODE, 0, match_memfd, &s))
			v->nr_problems++;
		else if (!s.found)
			problem(v,
				"files.img: memfd %u has inode %u, which memfd.img does not have",
				e->id, e->memfd->inode_id);
	}
	if (e->usk && e->usk->peer && !(e->usk->uflags & 1) && !unix_ino_exists(v, e->usk->peer))
		problem(v, "files.img: UNIX socket %u has the peer %u, which is not there", e->id,
			e->usk->peer);
}

static bool pipe_exists(const struct verify *v, uint32_t id, bool fifo)
{
	struct checkpoint_file *f, *tmp;

	HASH_ITER (hh, v->ck.files, f, tmp)
		if (fifo ? f->e->fifo && f->e->fifo->pipe_id == id
			 : f->e->pipe && f->e->pipe->pipe_id == id)
			return true;
	return false;
}

/* Entries with bytes behind them: the bytes are skipped here. */
static void check_data(struct verify *v, enum image_type type)
{
	cleanup_image struct image *img = image_open(v->ck.dir, type, 0, false);
	PipeDataEntry *e;
	int ret;

	if (!img) {
		v->nr_problems += errno != ENOENT;
		return;
	}
	while ((ret = image_read_as(img, &e)) > 0) {
		if (!pipe_exists(v, e->pipe_id, type == IMG_FIFO_DATA))
			problem(v, "%s: data of pipe %u, which files.img does not have",
				image_name(img), e->pipe_id);
		ret = image_skip(img, e->bytes);
		pipe_data_entry__free_unpacked(e, NULL);
		if (ret)
			break;
	}
	v->nr_problems += ret < 0;
}

static int check_queue(struct verify *v, struct image *img, const SkPacketEntry *e)
{
	if (!checkpoint_file(&v->ck, e->id_for))
		problem(v, "sk-queues.img: a packet for socket %u, which files.img does not have",
			e->id_for);
	return image_skip(img, e->length);
}

static void check_queues(struct verify *v)
{
	cleanup_image struct image *img = image_open(v->ck.dir, IMG_SK_QUEUES, 0, false);
	SkPacketEntry *e;
	int ret;

	if (!img) {
		v->nr_problems += errno != ENOENT;
		return;
	}
	while ((ret = image_read_as(img, &e)) > 0) {
		ret = check_queue(v, img, e);
		sk_packet_entry__free_unpacked(e, NULL);
		if (ret)
			break;
	}
	v->nr_problems += ret < 0;
}

static int check_remap(const ProtobufCMessage *msg, void *arg)
{
	const RemapFilePathEntry *e = (const RemapFilePathEntry *)msg;
	struct verify *v = arg;
	bool ghost = !e->has_remap_type || e->remap_type == REMAP_TYPE__GHOST;
	char name[48];

	if (!checkpoint_file(&v->ck, e->orig_id))
		problem(v, "remap-fpath.img: is about file %u, which files.img does not have",
			e->orig_id);
	snprintf(name, sizeof(name), "ghost-file-%x.img", e->remap_id);
	if (ghost && faccessat(v->ck.dir, name, F_OK, 0))
		problem(v,
			"remap-fpath.img: file %u is deleted, but its contents, %s, are not there",
			e->orig_id, name);
	return 0;
}

static int check_lock(const ProtobufCMessage *msg, void *arg)
{
	const FileLockEntry *e = (const FileLockEntry *)msg;
	struct verify *v = arg;

	if (e->pid > 0 && !checkpoint_task(&v->ck, e->pid))
		problem(v, "filelocks.img: a lock of task %d, which is not in the tree", e->pid);
	return 0;
}

void verify_files(struct verify *v)
{
	struct checkpoint_file *f, *tmp;

	HASH_ITER (hh, v->ck.files, f, tmp) {
		check_part(v, f->e);
		check_stands_on(v, f->e);
	}
	check_data(v, IMG_PIPES_DATA);
	check_data(v, IMG_FIFO_DATA);
	check_queues(v);
	if (checkpoint_each(&v->ck, IMG_REMAP_FPATH, 0, check_remap, v) ||
	    checkpoint_each(&v->ck, IMG_FILE_LOCKS, 0, check_lock, v))
		v->nr_problems++;
}
