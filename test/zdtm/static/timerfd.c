// SPDX-License-Identifier: GPL-2.0-only
/* Timer descriptors: one-shot, periodic, absolute, expired with ticks unread, not armed. */
#include "zdtm.h"

#include <sys/timerfd.h>

int main(int argc, char **argv)
{
	struct itimerspec it, now;
	int once, periodic, absolute, expired, idle, used;
	uint64_t ticks;

	test_init(argc, argv);
	once = SYS(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	it = (struct itimerspec){ .it_value = { 500, 0 } };
	SYS(timerfd_settime(once, 0, &it, NULL));
	periodic = SYS(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
	it = (struct itimerspec){ .it_value = { 600, 0 }, .it_interval = { 3, 7000 } };
	SYS(timerfd_settime(periodic, 0, &it, NULL));
	absolute = SYS(timerfd_create(CLOCK_REALTIME, 0));
	it = (struct itimerspec){ .it_value = { time(NULL) + 700, 0 } };
	SYS(timerfd_settime(absolute, TFD_TIMER_ABSTIME, &it, NULL));
	expired = SYS(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	it = (struct itimerspec){ .it_value = { 0, 1000 } };
	SYS(timerfd_settime(expired, 0, &it, NULL));
	used = SYS(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	SYS(timerfd_settime(used, 0, &it, NULL));
	idle = SYS(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	sleep_ms(5);
	read_all(used, &ticks, 8);
	test_daemon();
	test_waitsig();
	SABOTAGE(read_all(expired, &ticks, 8));
	CHECK(!timerfd_gettime(once, &now) && now.it_value.tv_sec > 400 &&
		      now.it_value.tv_sec <= 500 && !now.it_interval.tv_sec,
	      "one-shot: %ld s left", now.it_value.tv_sec);
	CHECK(!timerfd_gettime(periodic, &now) && now.it_value.tv_sec > 500 &&
		      now.it_value.tv_sec <= 600 && now.it_interval.tv_sec == 3 &&
		      now.it_interval.tv_nsec == 7000,
	      "periodic: %ld s left, interval %ld.%09ld", now.it_value.tv_sec,
	      now.it_interval.tv_sec, now.it_interval.tv_nsec);
	CHECK(!timerfd_gettime(absolute, &now) && now.it_value.tv_sec > 600 &&
		      now.it_value.tv_sec <= 700,
	      "absolute: %ld s left", now.it_value.tv_sec);
	CHECK(read(expired, &ticks, 8) == 8 && ticks == 1, "expired: its tick is lost");
	CHECK(read(expired, &ticks, 8) == -1 && errno == EAGAIN, "expired: two ticks");
	CHECK(read(used, &ticks, 8) == -1 && errno == EAGAIN, "used: its tick comes again");
	CHECK(!timerfd_gettime(idle, &now) && !now.it_value.tv_sec && !now.it_value.tv_nsec,
	      "the idle one is armed");
	CHECK(fcntl(periodic, F_GETFD) == FD_CLOEXEC && !(fcntl(periodic, F_GETFL) & O_NONBLOCK) &&
		      (fcntl(once, F_GETFL) & O_NONBLOCK),
	      "flags differ");
	it = (struct itimerspec){ .it_value = { 0, 1000 } };
	CHECK(!timerfd_settime(periodic, 0, &it, NULL) && read(periodic, &ticks, 8) == 8,
	      "it cannot be set anew");
	pass();
}
