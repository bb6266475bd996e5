/* SPDX-License-Identifier: GPL-2.0-only */
/* ELF core files (elf(5), core(5)): what core_dump.c and core_notes.c share. */
#ifndef CRIU_CRIT_CORE_DUMP_H
#define CRIU_CRIT_CORE_DUMP_H

#include "checkpoint.h"
#include "mem/pagemap.h"

/* Everything of one task. */
struct core_task {
	const struct checkpoint *ck;
	const PstreeEntry *task;
	MmEntry *mm;
	struct pagemap *pages; /* NULL: none of its private pages were saved */
	CoreEntry **threads;   /* in the order of task->threads: the leader first */
};

struct core_notes {
	char *buf;
	size_t len, cap;
};
/* The PT_NOTE segment: registers of all threads, names, auxv, mapped files. -1: logged. */
int core_notes_build(const struct core_task *t, struct core_notes *notes);

/* Up to LEN bytes of the task's private memory at ADDR; how many there are. */
size_t core_read_memory(const struct core_task *t, uint64_t addr, char *buf, size_t len);

#endif
