// SPDX-License-Identifier: GPL-2.0-only
#include "stories.h"

#include <sys/time.h>

static volatile int fired;

static void on_timer(int sig)
{
	fired++;
}

void itimer_goes_on(int argc, char **argv, int which, int signo)
{
	struct itimerval it = { { 0, 50000 }, { 100, 0 } }, now;
	struct sigaction sa = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	int64_t end;

	test_init(argc, argv);
	SYS(sigaction(signo, &sa, NULL));
	SYS(setitimer(which, &it, NULL));
	test_daemon();
	test_waitsig();
	SABOTAGE(memset(&it, 0, sizeof(it)); setitimer(which, &it, NULL));
	CHECK(!getitimer(which, &now), "getitimer");
	CHECK(now.it_interval.tv_sec == 0 && now.it_interval.tv_usec == 50000,
	      "the interval is %ld.%06ld", now.it_interval.tv_sec, now.it_interval.tv_usec);
	CHECK(now.it_value.tv_sec >= 30 && now.it_value.tv_sec <= 100,
	      "%ld.%06ld s are left of 100", now.it_value.tv_sec, now.it_value.tv_usec);
	CHECK(!fired, "it fired too early");
	/* and it works: soon, then at the interval */
	now.it_value.tv_sec = 0;
	now.it_value.tv_usec = 1000;
	setitimer(which, &now, NULL);
	for (end = now_ns(CLOCK_MONOTONIC) + 5 * NSEC; fired < 2 && now_ns(CLOCK_MONOTONIC) < end;)
		;
	CHECK(fired >= 2, "it fired %d times", fired);
	pass();
}
