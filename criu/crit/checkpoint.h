/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A directory of images as one thing: its tasks and its open files. Called by the subcommands that take a
 * directory (x, make-lazy, verify, diff, core-dump).
 */
#ifndef CRIU_CRIT_CHECKPOINT_H
#define CRIU_CRIT_CHECKPOINT_H

#include "core.pb-c.h"
#include "fdinfo.pb-c.h"
#include "fs.pb-c.h"
#include "image/image.h"
#include "inventory.pb-c.h"
#include "mm.pb-c.h"
#include "pstree.pb-c.h"
#include "util/hash.h"
#include "vma.pb-c.h"

struct checkpoint_file {
	FileEntry *e;
	uint32_t id;
	UT_hash_handle hh;
};

struct checkpoint {
	const char *path;
	int dir;
	InventoryEntry *inventory;
	PstreeEntry **tasks; /* in the order of pstree.img: parents first */
	size_t nr_tasks;
	struct checkpoint_file *files; /* a hash; empty before checkpoint_load_files() */
};

/* Opens PATH, reads inventory.img and pstree.img. -1: logged. */
int checkpoint_open(struct checkpoint *ck, const char *path);
void checkpoint_close(struct checkpoint *ck);
/* Reads files.img (a checkpoint without one has no files). -1: logged. */
int checkpoint_load_files(struct checkpoint *ck);
/* NULL: there is none of that id. */
const FileEntry *checkpoint_file(const struct checkpoint *ck, uint32_t id);
const PstreeEntry *checkpoint_task(const struct checkpoint *ck, uint32_t pid);

/* The images of task PID, to be freed with their own functions. NULL: logged. */
CoreEntry *checkpoint_core(const struct checkpoint *ck, uint32_t pid);
MmEntry *checkpoint_mm(const struct checkpoint *ck, uint32_t pid);
FsEntry *checkpoint_fs(const struct checkpoint *ck, uint32_t pid);
/* 1 and its ids, from ids-PID.img or the core; 0: it has none (a zombie); -1: logged. */
int checkpoint_ids(const struct checkpoint *ck, uint32_t pid, TaskKobjIdsEntry **ids);
/* Reads files.img and calls FN for each task that is no zombie, until it returns other than 0. -1: logged, or FN's value. */
int checkpoint_each_alive(struct checkpoint *ck,
			  int (*fn)(const struct checkpoint *ck, const PstreeEntry *task,
				    void *arg),
			  void *arg);
bool checkpoint_is_alive(const CoreEntry *core); /* not a zombie: has memory, files, ids */

/* Calls FN for every entry of an image until it returns other than 0. A file that does not exist has none. -1: logged, or FN's value. */
int checkpoint_each(const struct checkpoint *ck, enum image_type type, unsigned long id,
		    int (*fn)(const ProtobufCMessage *entry, void *arg), void *arg);

/* Are the areas of task PID whole pages, in order, apart from each other? -1: logged. */
int checkpoint_check_vmas(const MmEntry *mm, uint32_t pid);

/* What a file is, for people: "/bin/sh", "pipe[123]", "tcp 10.0.0.1:80 -> ...". A fresh string; NULL: out of memory. */
char *file_describe(const FileEntry *e);
/* The short name of a file's type: "REG", "PIPE". */
const char *file_type_name(int type);
/* "r-xp" for a VMA. */
void vma_prot_text(const VmaEntry *v, char text[5]);
/* "/lib/libc.so.6", "[heap]"; "" where there is nothing to say. NULL: out of memory. */
char *vma_describe(const struct checkpoint *ck, const VmaEntry *v);
/* May its pages come after the restore? Private anonymous memory that userfaultfd can fill. */
bool vma_can_be_lazy(const VmaEntry *v);

/* VMA status bits (the images' own, spec of vma_entry.status) */
enum {
	VMA_STATUS_VSYSCALL = 0x4,
	VMA_STATUS_VDSO = 0x8,
	VMA_STATUS_HEAP = 0x20,
	VMA_STATUS_FILE_PRIVATE = 0x40,
	VMA_STATUS_FILE_SHARED = 0x80,
	VMA_STATUS_ANON_SHARED = 0x100,
	VMA_STATUS_ANON_PRIVATE = 0x200,
	VMA_STATUS_SYSVIPC = 0x400,
	VMA_STATUS_SOCKET = 0x800,
	VMA_STATUS_VVAR = 0x1000,
	VMA_STATUS_AIORING = 0x2000,
	VMA_STATUS_MEMFD = 0x4000,
	VMA_STATUS_SHSTK = 0x8000,
	VMA_STATUS_GUARD = 0x10000,
	VMA_STATUS_UPROBES = 0x20000,
};

#endif
