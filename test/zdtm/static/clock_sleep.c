// SPDX-License-Identifier: GPL-2.0-only
/* Sleepers: nanosleep for a time, clock_nanosleep to an instant; neither ends too early, nor sleeps the whole time again. */
#include "zdtm.h"

#define MS 700
static int64_t start, ended[2];
static int result[2];
static volatile int begun;

static void *thread(void *arg)
{
	struct timespec ts = { 0, MS * 1000000L };
	int n = (long)arg;

	if (n) {
		ts.tv_sec = (start + MS * 1000000L) / NSEC;
		ts.tv_nsec = (start + MS * 1000000L) % NSEC;
	}
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	result[n] = clock_nanosleep(CLOCK_MONOTONIC, n ? TIMER_ABSTIME : 0, &ts, NULL);
	ended[n] = now_ns(CLOCK_MONOTONIC);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[2];
	long i;

	test_init(argc, argv);
	start = now_ns(CLOCK_MONOTONIC);
	test_threads(t, 2, thread);
	AWAIT(begun == 2);
	test_daemon();
	test_waitsig();
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	SABOTAGE(ended[1] = start + MS / 2 * 1000000);
	for (i = 0; i < 2; i++) {
		CHECK(!result[i], "sleeper %ld: error %d", i, result[i]);
		CHECK(ended[i] - start >= MS * 1000000L, "sleeper %ld slept %ld ms of %d", i,
		      (ended[i] - start) / 1000000, MS);
		CHECK(ended[i] - start <= (MS + 600) * 1000000L, "sleeper %ld slept %ld ms, not %d",
		      i, (ended[i] - start) / 1000000, MS);
	}
	pass();
}
