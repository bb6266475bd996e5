/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arenas: the memory that puppets of one address space (dump) or of the whole tree (restore) share with criu.
 * First page: the stub's code, executable. Then one scratch area per puppet: its program and its data.
 */
#ifndef CRIU_REMOTE_ARENA_H
#define CRIU_REMOTE_ARENA_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "remote/program.h"
#include "util/xmalloc.h"

#define ARENA_STUB_SIZE 4096
_Static_assert((PROG_MAX_CALLS + 1) * sizeof(struct rcall) <= SLOT_CALLS_SIZE,
	       "stub.S knows the layout");

struct arena {
	int fd;	       /* restore: the memfd; dump: -1 */
	uint64_t base; /* address in the tasks */
	char *local;   /* our mapping */
	size_t len;
	unsigned nr_slots;
	unsigned users;	     /* puppets */
	uint64_t syscall_ip; /* dump: a syscall instruction of the task's own */
	/*
	 * In the stub's page: a robust mutex (pthread_mutexattr_setrobust(3)) that criu holds. When criu dies the kernel marks it, before the
	 * tasks are let go by its death: their stubs see it and put the tasks back as they were found.
	 */
	pthread_mutex_t *alive;
	int trap_ignored; /* dump: the task ignores SIGTRAP, which the stub's trap undoes: put back at the end */
};

/* restore: a memfd of NR_SLOTS scratch areas that will be mapped at BASE in every task. NULL: logged. */
struct arena *arena_create(uint64_t base, unsigned nr_slots);
/* Wraps the shared memory at LOCAL: copies the stub into it. Takes LOCAL over. */
struct arena *arena_wrap(int fd, void *local, uint64_t base, unsigned nr_slots);
void arena_free(struct arena *a);

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
