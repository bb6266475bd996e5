// SPDX-License-Identifier: GPL-2.0-only
/* The lazy engine alone: see the script beside this (engine). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

/*
 * engine MODE MIB PATTERN: what the engine takes for it, without dump and restore around it. PATTERN: none, seq, rand, or
 * randN with N threads.
 */

static void *touch_all(void *arg)
{
	size_t *range = arg, bad = 0;

	for (size_t k = 0; k < range[1]; k++) {
		size_t i = range[2] ? mix(k * 2 + range[0]) % w.nr : k;

		bad += *(volatile uint64_t *)(BASE + i * PAGE_SIZE) != word_of(i, 0);
	}
	range[3] = bad;
	return NULL;
}

/* CPU time of the child that was waited for last */
static void cpu(const char *who)
{
	static double before;
	struct rusage u;
	double now;

	getrusage(RUSAGE_CHILDREN, &u);
	now = u.ru_utime.tv_sec + u.ru_utime.tv_usec / 1e6 + u.ru_stime.tv_sec +
	      u.ru_stime.tv_usec / 1e6;
	printf("CPU of %s: %.3f s\n", who, now - before);
	before = now;
}

static int bench(const char *mode, size_t mib, const char *pattern)
{
	unsigned nr_threads = pattern[0] == 'r' && pattern[4] ? atoi(pattern + 4) : 1;
	size_t range[16][4];
	pthread_t t[16];
	uint64_t start, touched;

	plain_pages = true;
	setenv("STATS", "1", 1);
	begin(!strcmp(mode, "local")	? LOCAL
	      : !strcmp(mode, "images") ? IMAGES
	      : !strcmp(mode, "plain")	? PLAIN
					: FROZEN,
	      mib << 8);
	{ /* memory that is free has gone back to the host: see memload's "warm" */
		size_t len = w.nr * PAGE_SIZE + (64 << 20);
		char *m = mmap(NULL, len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		munmap(m, len);
	}
	start = now_us();
	run();
	for (unsigned i = 0; i < nr_threads && strcmp(pattern, "none"); i++) {
		range[i][0] = 7 + i;
		range[i][1] = w.nr / nr_threads;
		range[i][2] = pattern[0] == 'r';
		pthread_create(&t[i], NULL, touch_all, range[i]);
	}
	for (unsigned i = 0; i < nr_threads && strcmp(pattern, "none"); i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(range[i][3], 0);
	}
	touched = now_us();
	assert_int_equal(exit_status(w.daemon), 0);
	printf("%s %zu MiB %s: touched after %.3f s, complete after %.3f s\n", mode, mib, pattern,
	       (touched - start) / 1e6, (now_us() - start) / 1e6);
	cpu("lazy-pages");
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	if (w.server)
		assert_int_equal(exit_status(w.server), 0);
	cpu("server");
	w.server = 0;
	w.daemon = fork();
	if (!w.daemon)
		_exit(0);
	end();
	return 0;
}

int main(int argc, char **argv)
{
	lazy_world_init();
	return argc == 4 ? bench(argv[1], atoi(argv[2]), argv[3]) : 2;
}
