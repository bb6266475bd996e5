// SPDX-License-Identifier: GPL-2.0-only
/* Whatever a task does to its memory while it comes (unit/lib/lazy_world.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lazy/handover.h"
#include "lazy/uffd.h"
#include "op.h"
#include "stories.h"
#include "test/unit/lib/lazy_world.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/opts.h"
#include "util/xmalloc.h"

static void all_in_order(void **state)
{
	begin(mode_of(state), 5000);
	run();
	assert_pages(0, w.nr);
	end();
}

static void at_random(void **state)
{
	begin(mode_of(state), 20000);
	run();
	for (size_t k = 0; k < w.nr; k++)
		assert_page(mix(k) % w.nr);
	assert_pages(0, w.nr);
	end();
}

/* restore itself needs pages before it is done */
static void before_the_end_of_restore(void **state)
{
	begin(mode_of(state), 1000);
	for (size_t i = 100; i < 300; i += 7)
		assert_page(i);
	run();
	assert_pages(0, w.nr);
	end();
}

/* nobody touches anything: the background brings it all */
static void untouched(void **state)
{
	begin(mode_of(state), 5000);
	run();
	end();
}

static void untouched_is_there(void **state)
{
	unsigned char in[5000];

	begin(mode_of(state), 5000);
	run();
	assert_int_equal(exit_status(w.daemon), 0);
	assert_int_equal(mincore(BASE, w.nr * PAGE_SIZE, in), 0);
	for (size_t i = 0; i < w.nr; i++) {
		assert_int_equal(in[i] & 1, page_exists(i));
		assert_page(i);
	}
	w.daemon = spawn(nothing, NULL); /* something for end() to wait for */
	end();
}

static bool in_place(size_t i)
{
	unsigned char in;

	assert_int_equal(mincore(BASE + i * PAGE_SIZE, PAGE_SIZE, &in), 0);
	return in & 1;
}

/* Before restore is done there is no background: what is in place was brought by faults. */
static void faults_in_order_bring_more(void **state)
{
	begin(mode_of(state), 1000);
	assert_pages(10, 18); /* 10, 11-12, 13-16, 17-24 */
	alarm(20);
	while (!in_place(24))
		usleep(1000);
	alarm(0);
	for (size_t i = 0; i < w.nr; i++)
		assert_int_equal(in_place(i), i >= 10 && i < 25);
	for (size_t k = 0; k < 8; k++) /* in no order: one each */
		assert_page(800 - 70 * k);
	for (size_t k = 0; k < 8; k++)
		assert_false(in_place(801 - 70 * k));
	/* two readers at once, each in order */
	for (size_t k = 0; k < 8; k++) {
		assert_page(130 + k);
		assert_page(620 + k);
	}
	alarm(20);
	while (!in_place(144) || !in_place(634))
		usleep(1000);
	alarm(0);
	run();
	assert_pages(0, w.nr);
	end();
}

static void *touch(void *arg)
{
	size_t seed = (size_t)arg, bad = 0;

	for (size_t k = 0; k < 5000; k++) {
		size_t i = mix(k * 4 + seed) % w.nr;

		bad += !right(BASE + i * PAGE_SIZE, i);
	}
	return (void *)bad;
}

static void threads(void **state)
{
	pthread_t t[4];

	begin(mode_of(state), 20000);
	run();
	for (size_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, touch, (void *)i);
	for (size_t i = 0; i < 4; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	end();
}

/* Parent and child each write what they want, and each has its own copy of what is missing. */
static int child_after_fork(void *arg)
{
	int bad = 0;

	for (size_t i = 0; i < w.nr; i++) {
		char *at = BASE + i * PAGE_SIZE;

		if (i % 3 == 0)
			memset(at, 'c', PAGE_SIZE);
		else
			bad |= !right(at, i);
	}
	return bad;
}

static void forks(void **state)
{
	pid_t children[3];

	begin(mode_of(state), 20000);
	run();
	for (int k = 0; k < 3; k++) {
		children[k] = spawn(child_after_fork, NULL);
		for (size_t i = k; i < w.nr; i += 50)
			memset(BASE + i * PAGE_SIZE, 'p', PAGE_SIZE);
		/* what the parent wrote before the next fork is what that child gets: put it back */
		for (size_t i = k; i < w.nr; i += 50)
			fill(BASE + i * PAGE_SIZE, i);
	}
	assert_pages(0, w.nr);
	for (int k = 0; k < 3; k++)
		assert_int_equal(exit_status(children[k]), 0);
	end();
}

static void discards(void **state)
{
	begin(mode_of(state), 20000);
	run();
	for (size_t i = 0; i + 20 < w.nr; i += 100) { /* i..i+19 are discarded, the rest stays */
		assert_int_equal(madvise(BASE + i * PAGE_SIZE, 20 * PAGE_SIZE, MADV_DONTNEED), 0);
		BASE[(i + 3) * PAGE_SIZE] = 'n'; /* newer than anything that may come */
	}
	for (size_t i = 0; i < w.nr; i++) {
		char *at = BASE + i * PAGE_SIZE;

		if (i % 100 == 3) {
			assert_int_equal(*at, 'n');
			*at = 0;
			assert_true(zeros(at));
		} else if (i % 100 < 20 && i + 20 < w.nr + i % 100) {
			assert_true(zeros(at));
		} else {
			assert_true(right(at, i));
		}
	}
	end();
}

static void moves(void **state)
{
	char *to = BASE + (1ULL << 40);

	begin(mode_of(state), 20000);
	run();
	/* two blocks change places by way of a third, a block moves away and grows */
	assert_ptr_equal(mremap(BASE, 1000 * PAGE_SIZE, 1000 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to),
			 to);
	assert_ptr_equal(mremap(BASE + 5000 * PAGE_SIZE, 1000 * PAGE_SIZE, 1000 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, BASE),
			 BASE);
	assert_ptr_equal(mremap(to, 1000 * PAGE_SIZE, 1000 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, BASE + 5000 * PAGE_SIZE),
			 BASE + 5000 * PAGE_SIZE);
	assert_ptr_equal(mremap(BASE + 18000 * PAGE_SIZE, 2000 * PAGE_SIZE, 3000 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to),
			 to);
	for (size_t i = 0; i < 1000; i++) {
		assert_true(right(BASE + i * PAGE_SIZE, 5000 + i));
		assert_true(right(BASE + (5000 + i) * PAGE_SIZE, i));
		assert_true(right(to + i * PAGE_SIZE, 18000 + i));
		assert_true(zeros(to + (2000 + i) * PAGE_SIZE));
	}
	assert_pages(1000, 5000);
	munmap(to, 3000 * PAGE_SIZE);
	end();
}

/* ---- several threads at once: the kernel tells of what they do in any order ---- */

#define CHUNK	   8 /* pages */
#define NR_CHUNKS  (w.nr / CHUNK)
#define CHUNK_SIZE (CHUNK * PAGE_SIZE)
#define MOVERS	   4

static size_t wrong_in(const char *at, size_t chunk)
{
	size_t bad = 0;

	for (size_t i = 0; i < CHUNK; i++)
		bad += !right(at + i * PAGE_SIZE, chunk * CHUNK + i);
	return bad;
}

/* Where the kernel puts a chunk that grows is where another thread has just unmapped one, or moved it away from. */
static void *grow_chunks(void *arg)
{
	size_t bad = 0;

	for (size_t c = (size_t)arg; c < NR_CHUNKS; c += MOVERS) {
		char *at = BASE + c * CHUNK_SIZE;

		for (size_t more = 1; more < 4; more++)
			at = mremap(at, CHUNK_SIZE + (more - 1) * PAGE_SIZE,
				    CHUNK_SIZE + more * PAGE_SIZE, MREMAP_MAYMOVE);
		if (c / MOVERS % 3)
			bad += wrong_in(at, c);
		munmap(at, CHUNK_SIZE + 3 * PAGE_SIZE);
	}
	return (void *)bad;
}

static void moves_meet(void **state)
{
	pthread_t t[MOVERS];
	size_t all = 0;

	begin(mode_of(state), 40000);
	run();
	for (size_t i = 0; i < MOVERS; i++)
		pthread_create(&t[i], NULL, grow_chunks, (void *)i);
	for (size_t i = 0; i < MOVERS; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		all += (size_t)bad;
	}
	assert_int_equal(all, 0);
	end();
}

static atomic_size_t chunk_that_moves;

static void *move_chunks(void *arg)
{
	for (size_t c = NR_CHUNKS; c--;) { /* the last pages come last */
		char *at = BASE + c * CHUNK_SIZE, *to = at + (1ULL << 40);

		chunk_that_moves = c;
		if (mremap(at, CHUNK_SIZE, CHUNK_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			break;
	}
	chunk_that_moves = SIZE_MAX;
	return NULL;
}

/* A child has the chunk that moved while it was made either where it was or where it went, and all of it. */
static int look_at_chunks(void *arg)
{
	size_t at_fork = chunk_that_moves, bad = 0;

	if (at_fork == SIZE_MAX)
		return 0;
	for (size_t c = at_fork - min(at_fork, 2UL); c < min(at_fork + 3, NR_CHUNKS); c++) {
		char *at = BASE + c * CHUNK_SIZE;
		unsigned char there[CHUNK];

		if (mincore(at, CHUNK_SIZE, there))
			at += 1ULL << 40;
		bad += wrong_in(at, c);
	}
	return bad != 0;
}

static void fork_meets_move(void **state)
{
	size_t nr = 0, bad = 0;
	pid_t *children;
	pthread_t t;

	begin(mode_of(state), 40000);
	children = calloc(NR_CHUNKS, sizeof(*children));
	run();
	chunk_that_moves = 0;
	pthread_create(&t, NULL, move_chunks, NULL);
	while (chunk_that_moves != SIZE_MAX && nr < 200)
		children[nr++] = spawn(look_at_chunks, NULL);
	pthread_join(t, NULL);
	while (nr)
		bad += exit_status(children[--nr]) != 0;
	assert_int_equal(bad, 0);
	munmap(BASE + (1ULL << 40), w.nr * PAGE_SIZE);
	free(children);
	end();
}

static void unmaps(void **state)
{
	begin(mode_of(state), 20000);
	run();
	assert_int_equal(munmap(BASE, 10000 * PAGE_SIZE), 0);
	/* something else comes to the same place: nothing of the old may appear in it */
	assert_ptr_equal(mmap(BASE, 10000 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
			 BASE);
	for (size_t i = 0; i < 10000; i++)
		assert_true(zeros(BASE + i * PAGE_SIZE));
	/* VMAs split: one copy must not reach over their borders */
	for (size_t i = 10000; i + 8 < w.nr; i += 37)
		assert_int_equal(mprotect(BASE + i * PAGE_SIZE, 8 * PAGE_SIZE, PROT_READ), 0);
	assert_pages(10000, w.nr);
	end();
}

/* The task ends, or becomes another program, while pages are missing: the daemon ends well. */
static int ends_early(void *arg)
{
	if (be_restored())
		return 1;
	if (!right(BASE + 7 * PAGE_SIZE, 7))
		return 2;
	if (arg)
		execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static void exits(void **state)
{
	for (int exec = 0; exec < 2; exec++) {
		pid_t task;

		prepare(mode_of(state), 100000);
		write_images(true);
		if (w.mode == FROZEN)
			w.mode = IMAGES;
		if (w.mode != LOCAL)
			w.server = spawn_ready(w.mode == PLAIN ? run_plain_server : server_main);
		w.daemon = spawn_ready(run_daemon);
		task = spawn(ends_early, exec ? &w : NULL);
		assert_int_equal(exit_status(task), 0);
		end();
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		each_mode(all_in_order),
		each_mode(at_random),
		each_mode(before_the_end_of_restore),
		in_mode(faults_in_order_bring_more, LOCAL, "local"),
		in_mode(faults_in_order_bring_more, IMAGES, "images"),
		in_mode(faults_in_order_bring_more, FROZEN, "frozen"),
		each_mode(untouched),
		each_mode(untouched_is_there),
		each_mode(threads),
		each_mode(forks),
		each_mode(discards),
		each_mode(moves),
		each_mode(unmaps),
		each_mode(moves_meet),
		each_mode(fork_meets_move),
		each_mode(exits),
	};

	lazy_world_init();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
