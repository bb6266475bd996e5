// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "remote/arena.h"

#include <sys/mman.h>

#include "util/log.h"

extern const char stub_begin[], stub_end[];

/* The first word of the mutex is its futex, which the stub reads. */
static int hold_alive(struct arena *a)
{
	pthread_mutexattr_t attr;
	int err;

	a->alive = (pthread_mutex_t *)(a->local + STUB_ALIVE_OFFSET);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	err = pthread_mutex_init(a->alive, &attr) ?: pthread_mutex_lock(a->alive);
	pthread_mutexattr_destroy(&attr);
	if (!err)
		return 0;
	pr_err("Can't lock a robust mutex: %s", strerror(err));
	a->alive = NULL;
	return -1;
}

struct arena *arena_wrap(int fd, void *local, uint64_t base, unsigned nr_slots)
{
	struct arena *a = xzalloc(sizeof(*a));

	if (!a) {
		munmap(local, arena_len(nr_slots));
		return NULL;
	}
	a->fd = fd;
	a->base = base;
	a->local = local;
	a->len = arena_len(nr_slots);
	a->nr_slots = nr_slots;
	memcpy(local, stub_begin, stub_end - stub_begin);
	if (hold_alive(a)) {
		arena_free(a);
		return NULL;
	}
	return a;
}

struct arena *arena_create(uint64_t base, unsigned nr_slots)
{
	cleanup_close int fd = memfd_create("criu-arena", MFD_CLOEXEC);
	struct arena *a;
	void *local;

	if (fd < 0 || ftruncate(fd, arena_len(nr_slots))) {
		pr_perror("Can't make %zu bytes of memory to share with the tasks",
			  arena_len(nr_slots));
		return NULL;
	}
	local = mmap(NULL, arena_len(nr_slots), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (local == MAP_FAILED) {
		pr_perror("Can't map %zu bytes of memory to share with the tasks",
			  arena_len(nr_slots));
		return NULL;
	}
	a = arena_wrap(fd, local, base, nr_slots);
	if (a)
		fd = -1;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	if (a->alive)
		pthread_mutex_unlock(a->alive);
	munmap(a->local, a->len);
	close_safe(&a->fd);
	free(a);
}
