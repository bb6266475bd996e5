// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "remote/arena.h"

#include <sys/mman.h>

#include "util/log.h"

extern const char stub_begin[], stub_end[];

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
	munmap(a->local, a->len);
	close_safe(&a->fd);
	free(a);
}
