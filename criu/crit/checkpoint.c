// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "mem/huge.h"
#include "util/log.h"
#include "util/mmap_flags.h"
#include "util/xmalloc.h"

static int read_tasks(struct checkpoint *ck)
{
	cleanup_image struct image *img = image_open(ck->dir, IMG_PSTREE, 0, false);
	size_t cap = 0;
	int ret;

	if (!img) {
		if (errno == ENOENT)
			pr_err("%s holds no checkpoint: it has no pstree.img (a pre-dump has only "
			       "memory)",
			       ck->path);
		return -1;
	}
	for (;;) {
		if (xgrow(&ck->tasks, &cap, ck->nr_tasks, sizeof(*ck->tasks)))
			return -1;
		ret = image_read_as(img, &ck->tasks[ck->nr_tasks]);
		if (ret <= 0)
			break;
		ck->nr_tasks++;
	}
	if (!ret && !ck->nr_tasks)
		pr_err("%s holds no task: pstree.img has no entries", ck->path);
	return ret || !ck->nr_tasks ? -1 : 0;
}

int checkpoint_open(struct checkpoint *ck, const char *path)
{
	memset(ck, 0, sizeof(*ck));
	ck->path = path;
	ck->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ck->dir < 0) {
		pr_perror("Can't open the directory %s", path);
		return -1;
	}
	if (faccessat(ck->dir, "inventory.img", F_OK, 0)) {
		pr_err("%s holds no checkpoint: it has no inventory.img", path);
		checkpoint_close(ck);
		return -1;
	}
	if (image_read_one(ck->dir, IMG_INVENTORY, 0, (ProtobufCMessage **)&ck->inventory) ||
	    read_tasks(ck)) {
		checkpoint_close(ck);
		return -1;
	}
	return 0;
}

void checkpoint_close(struct checkpoint *ck)
{
	struct checkpoint_file *f, *tmp;

	HASH_ITER (hh, ck->files, f, tmp) {
		HASH_DEL(ck->files, f);
		file_entry__free_unpacked(f->e, NULL);
		free(f);
	}
	for (size_t i = 0; i < ck->nr_tasks; i++)
		pstree_entry__free_unpacked(ck->tasks[i], NULL);
	free(ck->tasks);
	if (ck->inventory)
		inventory_entry__free_unpacked(ck->inventory, NULL);
	close_safe(&ck->dir);
	memset(ck, 0, sizeof(*ck));
	ck->dir = -1;
}

int checkpoint_load_files(struct checkpoint *ck)
{
	cleanup_image struct image *img = image_open(ck->dir, IMG_FILES, 0, false);
	FileEntry *e;
	int ret;

	if (!img)
		return errno == ENOENT ? 0 : -1;
	while ((ret = image_read_as(img, &e)) > 0) {
		struct checkpoint_file *f, *old;

		HASH_FIND(hh, ck->files, &e->id, sizeof(e->id), old);
		f = old ? NULL : xzalloc(sizeof(*f));
		if (!f) {
			if (old)
				pr_err("files.img has two files with the id %u", e->id);
			file_entry__free_unpacked(e, NULL);
			return -1;
		}
		f->e = e;
		f->id = e->id;
		HASH_ADD(hh, ck->files, id, sizeof(f->id), f);
		if (!hash_added(f)) {
			file_entry__free_unpacked(e, NULL);
			free(f);
			return -1;
		}
	}
	return ret;
}

const FileEntry *checkpoint_file(const struct checkpoint *ck, uint32_t id)
{
	struct checkpoint_file *f;

	HASH_FIND(hh, ck->files, &id, sizeof(id), f);
	return f ? f->e : NULL;
}

const PstreeEntry *checkpoint_task(const struct checkpoint *ck, uint32_t pid)
{
	for (size_t i = 0; i < ck->nr_tasks; i++)
		if (ck->tasks[i]->pid == pid)
			return ck->tasks[i];
	return NULL;
}

static void *read_one(const struct checkpoint *ck, enum image_type type, uint32_t pid)
{
	ProtobufCMessage *msg;

	return image_read_one(ck->dir, type, pid, &msg) ? NULL : msg;
}

CoreEntry *checkpoint_core(const struct checkpoint *ck, uint32_t pid)
{
	return read_one(ck, IMG_CORE, pid);
}

MmEntry *checkpoint_mm(const struct checkpoint *ck, uint32_t pid)
{
	return read_one(ck, IMG_MM, pid);
}

FsEntry *checkpoint_fs(const struct checkpoint *ck, uint32_t pid)
{
	return read_one(ck, IMG_FS, pid);
}

bool checkpoint_is_alive(const CoreEntry *core)
{
	return core->tc && core->tc->task_state != 2;
}

int checkpoint_each_alive(struct checkpoint *ck,
			  int (*fn)(const struct checkpoint *ck, const PstreeEntry *task,
				    void *arg),
			  void *arg)
{
	if (checkpoint_load_files(ck))
		return -1;
	for (size_t i = 0; i < ck->nr_tasks; i++) {
		CoreEntry *core = checkpoint_core(ck, ck->tasks[i]->pid);
		bool alive;
		int ret;

		if (!core)
			return -1;
		alive = checkpoint_is_alive(core);
		core_entry__free_unpacked(core, NULL);
		ret = alive ? fn(ck, ck->tasks[i], arg) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

int checkpoint_ids(const struct checkpoint *ck, uint32_t pid, TaskKobjIdsEntry **ids)
{
	struct image *img = image_open(ck->dir, IMG_IDS, pid, false);
	CoreEntry *core;
	int ret = 0;

	if (img) {
		ret = image_read_as(img, ids);
		image_close(img);
		return ret;
	}
	if (errno != ENOENT)
		return -1;
	core = checkpoint_core(ck, pid);
	if (!core)
		return -1;
	if (core->ids) {
		*ids = move_ptr(core->ids);
		ret = 1;
	}
	core_entry__free_unpacked(core, NULL);
	return ret;
}

int checkpoint_each(const struct checkpoint *ck, enum image_type type, unsigned long id,
		    int (*fn)(const ProtobufCMessage *entry, void *arg), void *arg)
{
	cleanup_image struct image *img = image_open(ck->dir, type, id, false);
	ProtobufCMessage *msg;
	int ret;

	if (!img)
		return errno == ENOENT ? 0 : -1;
	while ((ret = image_read(img, &msg)) > 0) {
		ret = fn(msg, arg);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			break;
	}
	return ret;
}

/* ---- VMAs ---- */

int checkpoint_check_vmas(const MmEntry *mm, uint32_t pid)
{
	uint64_t end = 0;

	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];

		if (v->start < end || v->end <= v->start || (v->start | v->end) % PAGE_SIZE) {
			pr_err("mm-%u.img: area 0x%" PRIx64 "-0x%" PRIx64
			       " is empty, not of whole pages or out of order",
			       pid, v->start, v->end);
			return -1;
		}
		end = v->end;
	}
	return 0;
}

void vma_prot_text(const VmaEntry *v, char text[5])
{
	text[0] = v->prot & PROT_READ ? 'r' : '-';
	text[1] = v->prot & PROT_WRITE ? 'w' : '-';
	text[2] = v->prot & PROT_EXEC ? 'x' : '-';
	text[3] = v->flags & MAP_SHARED ? 's' : 'p';
	text[4] = 0;
}

char *vma_describe(const struct checkpoint *ck, const VmaEntry *v)
{
	const FileEntry *f;

	if (v->status & (VMA_STATUS_FILE_PRIVATE | VMA_STATUS_FILE_SHARED)) {
		f = checkpoint_file(ck, v->shmid);
		return f ? file_describe(f) : xasprintf("file[%" PRIu64 "]", v->shmid);
	}
	if (v->status & VMA_STATUS_HEAP)
		return xstrdup("[heap]");
	if (v->status & VMA_STATUS_VDSO)
		return xstrdup("[vdso]");
	if (v->status & VMA_STATUS_VVAR)
		return xstrdup("[vvar]");
	if (v->status & VMA_STATUS_VSYSCALL)
		return xstrdup("[vsyscall]");
	if (v->status & VMA_STATUS_AIORING)
		return xstrdup("[aio]");
	if (v->status & VMA_STATUS_SYSVIPC)
		return xasprintf("ipc[%" PRIu64 "]", v->shmid);
	if (v->status & VMA_STATUS_SOCKET)
		return xasprintf("packet[%" PRIu64 "]", v->shmid);
	if (v->status & VMA_STATUS_ANON_SHARED)
		return xasprintf("shmem[%" PRIu64 "]", v->shmid);
	if (v->flags & MAP_GROWSDOWN)
		return xstrdup("[stack]");
	return xstrdup("");
}

bool vma_can_be_lazy(const VmaEntry *v)
{
	const uint32_t never = VMA_STATUS_VSYSCALL | VMA_STATUS_VDSO | VMA_STATUS_VVAR |
			       VMA_STATUS_AIORING | VMA_STATUS_SOCKET | VMA_STATUS_SHSTK |
			       VMA_STATUS_GUARD | VMA_STATUS_UPROBES;

	if ((v->flags & MAP_TYPE) == MAP_DROPPABLE)
		return false;
	/* mlock() brings every page in at once */
	return v->status & VMA_STATUS_ANON_PRIVATE && !(v->status & never) &&
	       !(v->flags & (MAP_LOCKED | MAP_SHARED)) &&
	       (!hugetlb(v->flags) || hugetlb_can_be_lazy(v->flags));
}
