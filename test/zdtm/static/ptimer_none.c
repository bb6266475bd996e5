// SPDX-License-Identifier: GPL-2.0-only
/* A POSIX timer that notifies nobody, and one of the process's CPU time. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	struct itimerspec it = { { 0, 0 }, { 500, 0 } }, now;
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	clockid_t clocks[2] = { CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID };
	int ids[2], i;

	test_init(argc, argv);
	for (i = 0; i < 2; i++) {
		SYS(syscall(SYS_timer_create, clocks[i], &ev, &ids[i]));
		SYS(syscall(SYS_timer_settime, ids[i], 0, &it, NULL));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(syscall(SYS_timer_delete, ids[1]));
	for (i = 0; i < 2; i++) {
		CHECK(!syscall(SYS_timer_gettime, ids[i], &now), "timer %d is gone", i);
		CHECK(now.it_value.tv_sec > 400 && now.it_value.tv_sec <= 500,
		      "timer %d: %ld s left of 500", i, now.it_value.tv_sec);
		CHECK(!now.it_interval.tv_sec && !now.it_interval.tv_nsec,
		      "timer %d has got an interval", i);
	}
	pass();
}
