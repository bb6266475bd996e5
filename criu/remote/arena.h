/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arenas: the memory that puppets of one address space (dump) or of the whole tree (restore) share with criu.
 * First page: the stub's code, executable. Then one scratch area per puppet: its program and its data.
 */
#ifndef CRIU_REMOTE_ARENA_H
#define CRIU_REMOTE_ARENA_H

#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "remote/program.h"
#include "util/xmalloc.h"

#define ARENA_STUB_SIZE 4096
_Static_assert((PROG_MAX_CALLS + 1) * sizeof(struct rcall) <= SLOT_CALLS_SIZE,
	       "stub.S knows the layout");

/*
 * What becomes of the tasks when criu dies, even by SIGKILL? The kernel then walks the robust list of the dead (get_robust_list(2)) and marks each futex in
 * it, before it lets the traced tasks go. Each arena has two such futexes in its stub's page, one for each fate, and criu has a list for each: which of the
 * two lists is registered decides for all arenas at once. The stubs see the mark and act on it.
 */
enum fate {
	FATE_GO_ON, /* each task as it was found, by a signal frame: puppet.c, arch/ARCH/heal.c */
	FATE_END,   /* they run elsewhere by now */
	NR_FATES,
};
struct fate_mark { /* stub.S knows the layout */
	struct robust_list link;
	uint32_t futex, pad;
};
_Static_assert(sizeof(struct fate_mark) == STUB_MARK_SIZE &&
		       offsetof(struct fate_mark, futex) == STUB_MARK_FUTEX,
	       "stub.S knows the layout");

struct arena {
	TAILQ_ENTRY(arena) link;
	int fd;	       /* restore: the memfd; dump: -1 */
	uint64_t base; /* address in the tasks */
	char *local;   /* our mapping */
	size_t len;
	unsigned nr_slots;
	unsigned users;	     /* puppets */
	uint64_t syscall_ip; /* dump: a syscall instruction of the task's own */
	bool watched;	     /* its marks are in the lists */
	int trap_ignored; /* dump: the task ignores SIGTRAP, which the stub's trap undoes: put back at the end */
};

/* restore: a memfd of NR_SLOTS scratch areas that will be mapped at BASE in every task. NULL: logged. */
struct arena *arena_create(uint64_t base, unsigned nr_slots);
/* Wraps the shared memory at LOCAL: copies the stub into it. Takes LOCAL over. */
struct arena *arena_wrap(int fd, void *local, uint64_t base, unsigned nr_slots);
void arena_free(struct arena *a);
/*
 * From this instant on the tasks of all arenas end when criu does, instead of going on. One system call: a criu that is killed has done it for all of them or
 * for none. Holds until the last arena is freed. By the thread that made the arenas, which is also the tasks' tracer.
 */
void arenas_end_with_us(void);

static inline struct rcall *arena_calls(const struct arena *a, unsigned slot)
{
	return (struct rcall *)(a->local + ARENA_STUB_SIZE + slot * SLOT_SIZE);
}
static inline char *arena_data(const struct arena *a, unsigned slot)
{
	return a->local + ARENA_STUB_SIZE + slot * SLOT_SIZE + SLOT_CALLS_SIZE;
}
static inline char *arena_heal(const struct arena *a, unsigned slot)
{
	return a->local + ARENA_STUB_SIZE + slot * SLOT_SIZE + HEAL_OFFSET;
}
/* The same place as seen by the tasks. */
static inline uint64_t arena_remote(const struct arena *a, const void *local)
{
	return a->base + ((const char *)local - a->local);
}
static inline size_t arena_len(unsigned nr_slots)
{
	return ARENA_STUB_SIZE + nr_slots * SLOT_SIZE;
}

#endif
