// SPDX-License-Identifier: GPL-2.0-only
/* A timer set to an instant of CLOCK_MONOTONIC and the time that is left of it agree with the clock afterwards. */
#include "zdtm.h"

#include <sys/timerfd.h>

int main(int argc, char **argv)
{
	struct itimerspec it = { 0 };
	int64_t due, left;
	int fd, id;
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct itimerspec now;

	test_init(argc, argv);
	due = now_ns(CLOCK_MONOTONIC) + 1000 * NSEC;
	it.it_value.tv_sec = due / NSEC;
	it.it_value.tv_nsec = due % NSEC;
	fd = SYS(timerfd_create(CLOCK_MONOTONIC, 0));
	SYS(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL));
	SYS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	SYS(syscall(SYS_timer_settime, id, TIMER_ABSTIME, &it, NULL));
	test_daemon();
	test_waitsig();
	SABOTAGE(due += 3 * NSEC);
	CHECK(!timerfd_gettime(fd, &now), "timerfd_gettime");
	left = due - now_ns(CLOCK_MONOTONIC) - (now.it_value.tv_sec * NSEC + now.it_value.tv_nsec);
	CHECK(left > -100000000 && left < 100000000, "the timerfd is off by %ld ns", left);
	CHECK(!syscall(SYS_timer_gettime, id, &now), "timer_gettime");
	left = due - now_ns(CLOCK_MONOTONIC) - (now.it_value.tv_sec * NSEC + now.it_value.tv_nsec);
	CHECK(left > -100000000 && left < 100000000, "the timer is off by %ld ns", left);
	pass();
}
