// SPDX-License-Identifier: GPL-2.0-only
/*
 * load MIB OUT PATTERN THREADS: a task that is migrated, and notes what it feels of it. It fills MIB of memory with noise, says that it is ready
 * (OUT.ready), and ticks until it finds itself in another pid namespace. Then its threads touch pages: rand, hot (a tenth of them, again and again), seq or
 * none. At the end it looks at every byte and writes "name value" lines to OUT.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE	 4096UL
#define WORDS	 (PAGE / 8)
#define TICK_US	 200
#define FAULT_US 2.0 /* a page that is there takes far less */
#define MAX	 16

struct toucher {
	pthread_t thread;
	unsigned nr;
	float *us; /* of faults */
	size_t faults, bad;
};

static uint64_t *mem;
static size_t nr_pages, nr_threads;
static const char *pattern;

/* In real time: a restore may give the task a monotonic clock of its own. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t noise(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static uint64_t word_of(size_t page, size_t k)
{
	return noise(page * WORDS + k + 0x9e3779b97f4a7c15ULL);
}

static size_t page_to_touch(const struct toucher *t, size_t k)
{
	if (*pattern == 's')
		return k;
	return noise(k << 4 | t->nr) % (*pattern == 'h' ? nr_pages / 10 + 1 : nr_pages);
}

static void *touch(void *arg)
{
	struct toucher *t = arg;

	for (size_t k = 0; k < nr_pages / nr_threads; k++) {
		size_t page = page_to_touch(t, k);
		volatile uint64_t *at = mem + page * WORDS;
		double start = now(), us;
		uint64_t word = *at;

		us = (now() - start) * 1e6;
		if (us > FAULT_US)
			t->us[t->faults++] = us;
		t->bad += word != word_of(page, 0);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

static ino_t my_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : st.st_ino;
}

static void write_result(const char *path, struct toucher *t, double gap_s, double touch_s)
{
	char tmp[4096];
	float *all = calloc(nr_pages + 1, sizeof(*all));
	size_t nr = 0, bad = 0;
	FILE *f;

	for (size_t i = 0; i < nr_threads; i++) {
		memcpy(all + nr, t[i].us, t[i].faults * sizeof(*all));
		nr += t[i].faults;
		bad += t[i].bad;
	}
	qsort(all, nr, sizeof(*all), compare);
	for (size_t i = 0; i < nr_pages * WORDS; i++)
		bad += mem[i] != word_of(i / WORDS, i % WORDS);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	f = fopen(tmp, "w");
	if (!f)
		exit(1);
	fprintf(f, "gap_ms %.1f\ntouch_s %.3f\nfaults %zu\nbad %zu\n", gap_s * 1e3, touch_s, nr,
		bad);
	if (nr)
		fprintf(f, "p50_us %.1f\np99_us %.1f\n", all[nr / 2], all[nr * 99 / 100]);
	fclose(f);
	rename(tmp, path);
}

int main(int argc, char **argv)
{
	struct toucher t[MAX] = { 0 };
	char ready[4096];
	double last, tick, start;
	ino_t home = my_namespace();

	if (argc != 5 || atoi(argv[4]) < 1 || atoi(argv[4]) > MAX)
		return 2;
	nr_pages = strtoul(argv[1], NULL, 10) << 8;
	pattern = argv[3];
	nr_threads = atoi(argv[4]);
	mem = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	if (mem == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < nr_pages * WORDS; i++)
		mem[i] = word_of(i / WORDS, i % WORDS);
	for (size_t i = 0; i < nr_threads; i++) {
		t[i].nr = i;
		t[i].us = malloc((nr_pages / nr_threads + 1) * sizeof(float));
		memset(t[i].us, 1, (nr_pages / nr_threads + 1) * sizeof(float));
	}
	snprintf(ready, sizeof(ready), "%s.ready", argv[2]);
	fclose(fopen(ready, "w"));
	for (last = now();; last = tick) {
		usleep(TICK_US);
		tick = now();
		if (my_namespace() != home)
			break;
	}
	start = now();
	if (*pattern != 'n') {
		for (size_t i = 0; i < nr_threads; i++)
			pthread_create(&t[i].thread, NULL, touch, &t[i]);
		for (size_t i = 0; i < nr_threads; i++)
			pthread_join(t[i].thread, NULL);
	}
	write_result(argv[2], t, tick - last, now() - start);
	return 0;
}
