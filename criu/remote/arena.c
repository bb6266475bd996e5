// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "remote/arena.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/log.h"

extern const char stub_begin[], stub_end[];

static TAILQ_HEAD(arena_list, arena) arenas = TAILQ_HEAD_INITIALIZER(arenas);
static struct robust_list_head lists[NR_FATES];
static enum fate fate = FATE_GO_ON;

static struct fate_mark *marks(struct arena *a)
{
	return (struct fate_mark *)(a->local + STUB_MARKS_OFFSET);
}

/* What comes behind A, or behind the head: taken from our own list, since the tasks can write to the marks. */
static struct robust_list *link_to(struct arena *a, enum fate f)
{
	return a ? &marks(a)[f].link : &lists[f].list;
}

/* One store: the lists are whole at every instant. */
static void set_next(struct robust_list *at, struct robust_list *next)
{
	__atomic_store_n(&at->next, next, __ATOMIC_RELEASE);
}

/* glibc's own list is not registered any more: its robust mutexes would not work, and nobody here has one. */
static int choose(enum fate f)
{
	fate = f;
	return syscall(SYS_set_robust_list, &lists[f], sizeof(lists[f]));
}

static int watch_us(struct arena *a)
{
	struct arena *first = TAILQ_FIRST(&arenas);

	if (!first)
		fate = FATE_GO_ON;
	for (enum fate f = 0; f < NR_FATES; f++) {
		lists[f].futex_offset = STUB_MARK_FUTEX;
		marks(a)[f] = (struct fate_mark){ .link.next = link_to(first, f),
						  .futex = gettid() };
		set_next(&lists[f].list, link_to(a, f));
	}
	TAILQ_INSERT_HEAD(&arenas, a, link);
	a->watched = true;
	if (!choose(fate))
		return 0;
	pr_perror("Can't register a robust list");
	return -1;
}

static void unwatch_us(struct arena *a)
{
	struct arena *prev = TAILQ_PREV(a, arena_list, link), *next = TAILQ_NEXT(a, link);

	for (enum fate f = 0; f < NR_FATES; f++) {
		set_next(link_to(prev, f), link_to(next, f));
		marks(a)[f].futex = 0;
	}
	TAILQ_REMOVE(&arenas, a, link);
}

void arenas_end_with_us(void)
{
	if (!TAILQ_EMPTY(&arenas))
		choose(FATE_END);
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
	if (watch_us(a)) {
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
	if (a->watched)
		unwatch_us(a);
	munmap(a->local, a->len);
	close_safe(&a->fd);
	free(a);
}
