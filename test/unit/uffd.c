// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lazy/uffd.h"
#include "util/xmalloc.h"

/* Moved so often while they are filled; a page that was lost on the way shows in one of some 30. */
#define MOVES 1500

static char *places[2];
static atomic_uint filled, discarded, lost;
static atomic_bool over;

static char *area(void)
{
	char *p = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* Waits for a moment that depends on I, so that the move meets the other thread's call in all of its parts. */
static void a_moment(unsigned i)
{
	for (volatile unsigned k = i * 7919 % 6000; k; k--)
		;
}

static void *move_it(void *arg)
{
	for (unsigned i = 0; i < MOVES; i++) {
		char *from = places[i % 2], *to = places[(i + 1) % 2];
		unsigned char there;

		a_moment(i);
		if (mremap(from, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			break;
		while (filled <= i) /* it says that the page is in place */
			sched_yield();
		if (mincore(to, PAGE_SIZE, &there) || !(there & 1)) {
			lost++;
			break; /* a touch would wait for ever */
		}
		madvise(to, PAGE_SIZE, MADV_DONTNEED);
		discarded++;
	}
	over = true;
	return NULL;
}

/* Reads one event, if there is one: a move says UNMAP too, and a discard REMOVE. */
static void event(int uffd, uint64_t *at, unsigned *moves)
{
	struct uffd_msg m;

	if (read(uffd, &m, sizeof(m)) != sizeof(m) || m.event != UFFD_EVENT_REMAP)
		return;
	*at = m.arg.remap.to;
	*moves += 1;
}

static void a_moving_page_is_not_lost(void **state)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	char *data = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	unsigned moves = 0;
	uint64_t at, done;
	pthread_t t;

	if (uffd < 0)
		skip();
	memset(data, 7, PAGE_SIZE);
	places[0] = area();
	places[1] = area();
	munmap(places[1], PAGE_SIZE);
	assert_int_equal(uffd_api(uffd, false), 0);
	assert_int_equal(uffd_register(uffd, (uintptr_t)places[0], PAGE_SIZE), 0);
	at = (uintptr_t)places[0];
	assert_int_equal(pthread_create(&t, NULL, move_it, NULL), 0);
	while (!over) {
		bool in_place = false;

		/* in place before the move, or after it: either way it is then where the move has ended */
		while (!(in_place && moves > filled) && !over) {
			in_place = in_place || uffd_fill(uffd, at, data, 1, &done) == UFFD_OK;
			event(uffd, &at, &moves);
		}
		if (over) /* the last page was counted and discarded before */
			break;
		filled++;
		while (!over && discarded < filled)
			event(uffd, &at, &moves);
	}
	pthread_join(t, NULL);
	assert_int_equal(lost, 0);
	assert_int_equal(filled, MOVES);
	close(uffd);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_moving_page_is_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
