// SPDX-License-Identifier: GPL-2.0-only
/* A periodic POSIX timer with its signal blocked: one signal is pending, the rest are overruns, and it goes on. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	struct itimerspec it = { { 0, 2000000 }, { 0, 2000000 } }, now;
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct timespec second = { 1, 0 };
	int id, i, overruns = 0;
	siginfo_t info;
	sigset_t set;

	test_init(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	SYS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	SYS(syscall(SYS_timer_settime, id, 0, &it, NULL));
	sleep_ms(20);
	test_daemon();
	test_waitsig();
	SABOTAGE(syscall(SYS_timer_delete, id); sigwaitinfo(&set, &info));
	sleep_ms(20);
	for (i = 0; i < 4; i++) {
		CHECK(sigtimedwait(&set, &info, &second) == SIGUSR1, "signal %d does not come", i);
		overruns += info.si_overrun;
	}
	CHECK(overruns >= 5 && overruns < 100000, "%d overruns", overruns);
	CHECK(!syscall(SYS_timer_gettime, id, &now) && now.it_interval.tv_nsec == 2000000,
	      "the interval is %ld", now.it_interval.tv_nsec);
	pass();
}
