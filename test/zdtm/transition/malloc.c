// SPDX-License-Identifier: GPL-2.0-only
/* Four threads allocate and free blocks of all sizes, each with contents that are verified before it is freed. */
#include "zdtm.h"

#include <pthread.h>

#define NR 200

static void *thread(void *arg)
{
	struct {
		char *p;
		size_t len;
	} b[NR] = { 0 };
	uint64_t seed = (uint64_t)arg * 1000 + 1;

	while (test_go()) {
		int i = next_random(&seed) % NR;

		if (b[i].p) {
			CHECK(differs(b[i].p, b[i].len, i) < 0, "a block of %zu bytes differs",
			      b[i].len);
			free(b[i].p);
			b[i].p = NULL;
		} else {
			b[i].len = 8 +
				   next_random(&seed) % (next_random(&seed) % 20 ? 2000 : 400000);
			b[i].p = malloc(b[i].len);
			CHECK(b[i].p, "malloc");
			fill(b[i].p, b[i].len, i);
		}
	}
	SABOTAGE(b[0].p = "something else"; b[0].len = 10);
	for (int i = 0; i < NR; i++)
		CHECK(!b[i].p || differs(b[i].p, b[i].len, i) < 0,
		      "a block of %zu bytes differs at the end", b[i].len);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[4];
	long i;

	test_init(argc, argv);
	for (i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, thread, (void *)i))
			die("pthread_create");
	test_daemon();
	test_waitsig();
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	pass();
}
