// SPDX-License-Identifier: GPL-2.0-only
/* Eight threads fault at once, on the same pages and on different ones, reading and writing, by system calls too. */
#include "zdtm.h"

#define NR 8192UL /* pages: 32 MiB, long enough on their way */

#include <pthread.h>

#define THREADS 8
static char *mem;
static volatile int go;

static void *thread(void *arg)
{
	uint64_t me = (uint64_t)arg, seed = me, i, k;
	int p[2];

	SYS(pipe(p));
	while (!go)
		syscall(SYS_futex, &go, 0, 0, NULL, NULL, 0);
	for (k = 0; k < NR; k++) {
		i = me % 2 ? next_random(&seed) % NR : (k + me * 7) % NR;
		if (me == 3) { /* the kernel faults */
			char page[PAGE];

			write_all(p[1], mem + i * PAGE, PAGE / 2);
			read_all(p[0], page, PAGE / 2);
			CHECK(differs(page, PAGE / 2, i) < 0, "page %lu differs in a pipe", i);
		} else {
			CHECK(differs(mem + i * PAGE, PAGE - 64, i) < 0,
			      "thread %lu: page %lu differs", me, i);
		}
		mem[i * PAGE + PAGE - 64 + me] = 'a' + me; /* a byte of its own */
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS];
	unsigned long i, k;

	test_init(argc, argv);
	mem = map_anon(NR * PAGE, false);
	for (i = 0; i < NR; i++) {
		fill(mem + i * PAGE, PAGE, i);
		memset(mem + i * PAGE + PAGE - 64, 0, 64);
	}
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, thread, (void *)i))
			die("pthread_create");
	sleep_ms(20);
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[77 * PAGE]++);
	go = 1;
	syscall(SYS_futex, &go, 1, 100, NULL, NULL, 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < NR; i++)
		for (k = 0; k < THREADS; k += 2)
			CHECK(k == 0 || k % 2 || mem[i * PAGE + PAGE - 64 + k] == (char)('a' + k),
			      "page %lu: what thread %lu wrote is lost", i, k);
	pass();
}
