// SPDX-License-Identifier: GPL-2.0-only
/* A periodic ITIMER_REAL fires through everything, as often as time passes, and never in a burst. */
#include "zdtm.h"

#include <sys/time.h>

static volatile int fired;

static void on_timer(int sig)
{
	fired++;
}

int main(int argc, char **argv)
{
	struct itimerval it = { { 0, 10000 }, { 0, 10000 } };
	struct sigaction sa = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	int64_t start, ms;
	int seen;

	test_init(argc, argv);
	SYS(sigaction(SIGALRM, &sa, NULL));
	SYS(setitimer(ITIMER_REAL, &it, NULL));
	test_daemon();
	test_waitsig();
	SABOTAGE(memset(&it, 0, sizeof(it)); setitimer(ITIMER_REAL, &it, NULL));
	start = now_ns(CLOCK_MONOTONIC);
	seen = fired;
	sleep_ms(100);
	ms = (now_ns(CLOCK_MONOTONIC) - start) / 1000000;
	CHECK(fired - seen >= 3, "%d signals in %ld ms", fired - seen, ms);
	CHECK(fired - seen <= ms / 10 + 2, "%d signals in %ld ms", fired - seen, ms);
	pass();
}
