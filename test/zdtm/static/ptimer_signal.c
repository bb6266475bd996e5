// SPDX-License-Identifier: GPL-2.0-only
/* POSIX timers with signals: clocks, values, intervals, ids with gaps, what the signal carries. */
#include "zdtm.h"

#define NR 4

int main(int argc, char **argv)
{
	clockid_t clocks[NR] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC };
	struct timespec second = { 1, 0 };
	struct itimerspec it, now;
	siginfo_t info;
	int ids[NR], extra, i;
	sigset_t set;

	test_init(argc, argv);
	sigemptyset(&set);
	for (i = 0; i < NR; i++)
		sigaddset(&set, SIGRTMIN + i);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	for (i = 0; i < NR; i++) {
		struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
				       .sigev_signo = SIGRTMIN + i,
				       .sigev_value.sival_int = 1000 + i };

		/* a gap in the ids */
		SYS(syscall(SYS_timer_create, CLOCK_REALTIME, &ev, &extra));
		SYS(syscall(SYS_timer_create, clocks[i], &ev, &ids[i]));
		SYS(syscall(SYS_timer_delete, extra));
		it = (struct itimerspec){ { i, i * 1000 }, { 1000 + 100 * i, 0 } };
		if (i == 3) /* not armed */
			memset(&it, 0, sizeof(it));
		SYS(syscall(SYS_timer_settime, ids[i], 0, &it, NULL));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(syscall(SYS_timer_delete, ids[2]));
	for (i = 0; i < NR; i++) {
		CHECK(!syscall(SYS_timer_gettime, ids[i], &now), "timer %d is gone", ids[i]);
		if (i == 3) {
			CHECK(!now.it_value.tv_sec && !now.it_value.tv_nsec, "timer %d is armed",
			      i);
		} else {
			CHECK(now.it_interval.tv_sec == i && now.it_interval.tv_nsec == i * 1000,
			      "the interval of timer %d is %ld.%09ld", i, now.it_interval.tv_sec,
			      now.it_interval.tv_nsec);
			CHECK(now.it_value.tv_sec > 900 + 100 * i &&
				      now.it_value.tv_sec <= 1000 + 100 * i,
			      "timer %d: %ld s left", i, now.it_value.tv_sec);
		}
		it = (struct itimerspec){ { 0, 0 }, { 0, 1000000 } };
		CHECK(!syscall(SYS_timer_settime, ids[i], 0, &it, NULL), "timer_settime");
		sigemptyset(&set);
		sigaddset(&set, SIGRTMIN + i);
		CHECK(sigtimedwait(&set, &info, &second) == SIGRTMIN + i, "timer %d sends nothing",
		      i);
		CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 1000 + i &&
			      info.si_timerid == ids[i],
		      "timer %d: code %d, value %d, id %d", i, info.si_code,
		      info.si_value.sival_int, info.si_timerid);
	}
	pass();
}
