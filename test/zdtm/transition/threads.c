// SPDX-License-Identifier: GPL-2.0-only
/* Threads come and go; each computes something of its own. */
#include "zdtm.h"

#include <pthread.h>

#define NR 6

static void *thread(void *arg)
{
	char buf[3000];
	uint64_t seed = (uint64_t)arg;

	fill(buf, sizeof(buf), seed);
	sched_yield();
	return (void *)(differs(buf, sizeof(buf), seed) < 0 ? seed * 3 + 1 : 0);
}

int main(int argc, char **argv)
{
	pthread_t t[NR];
	uint64_t n = 0, i;
	void *result;

	test_init(argc, argv);
	test_daemon();
	do {
		for (i = 0; i < NR; i++)
			CHECK(!pthread_create(&t[i], NULL, thread, (void *)(n + i)),
			      "pthread_create in round %lu", n);
		for (i = 0; i < NR; i++) {
			CHECK(!pthread_join(t[i], &result), "pthread_join in round %lu", n);
			SABOTAGE(result = NULL);
			CHECK(result == (void *)((n + i) * 3 + 1), "thread %lu gave %p", n + i,
			      result);
		}
		n++;
	} while (test_go());
	pass();
}
