// SPDX-License-Identifier: GPL-2.0-only
/* POSIX timers on CPU clocks: the process's and the main thread's. They fire when enough has been computed, not before. */
#include "zdtm.h"

static volatile int fired[2];

static void on_timer(int sig, siginfo_t *info, void *context)
{
	fired[info->si_value.sival_int]++;
}

static void compute(clockid_t clock, long ms)
{
	int64_t end = now_ns(clock) + ms * 1000000L;

	while (now_ns(clock) < end)
		;
}

int main(int argc, char **argv)
{
	static const clockid_t clocks[] = { CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
	struct sigaction sa = { .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerspec it = { { 0, 0 }, { 0, 300000000 } };
	int id[2];

	test_init(argc, argv);
	SYS(sigaction(SIGUSR1, &sa, NULL));
	for (int i = 0; i < 2; i++) {
		struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
				       .sigev_signo = SIGUSR1,
				       .sigev_value.sival_int = i };

		SYS(syscall(SYS_timer_create, clocks[i], &ev, &id[i]));
		SYS(syscall(SYS_timer_settime, id[i], 0, &it, NULL));
	}
	compute(CLOCK_PROCESS_CPUTIME_ID, 50);
	test_daemon();
	test_waitsig();
	SABOTAGE(syscall(SYS_timer_delete, id[1]));
	CHECK(!fired[0] && !fired[1], "fired too early: %d %d", fired[0], fired[1]);
	compute(CLOCK_PROCESS_CPUTIME_ID, 50);
	CHECK(!fired[0] && !fired[1], "fired after a third of the time: %d %d", fired[0], fired[1]);
	compute(CLOCK_PROCESS_CPUTIME_ID, 300);
	CHECK(fired[0] == 1 && fired[1] == 1, "did not fire: %d %d", fired[0], fired[1]);
	pass();
}
