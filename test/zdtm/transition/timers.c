// SPDX-License-Identifier: GPL-2.0-only
/* Interval timers of all kinds fire while the program computes; none stops, none runs away. */
#include "zdtm.h"

#include <sys/time.h>

static volatile int fired[4];
static volatile int sum;
static void on_signal(int sig)
{
	fired[sig == SIGALRM ? 0 : sig == SIGVTALRM ? 1 : sig == SIGPROF ? 2 : 3]++;
}

int main(int argc, char **argv)
{
	struct itimerval it = { { 0, 10000 }, { 0, 10000 } };
	struct itimerspec its = { { 0, 5000000 }, { 0, 5000000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int i, id, before[4];
	int64_t end;

	test_init(argc, argv);
	SYS(sigaction(SIGALRM, &sa, NULL));
	SYS(sigaction(SIGVTALRM, &sa, NULL));
	SYS(sigaction(SIGPROF, &sa, NULL));
	SYS(sigaction(SIGRTMIN, &sa, NULL));
	SYS(setitimer(ITIMER_REAL, &it, NULL));
	SYS(setitimer(ITIMER_VIRTUAL, &it, NULL));
	SYS(setitimer(ITIMER_PROF, &it, NULL));
	SYS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	SYS(syscall(SYS_timer_settime, id, 0, &its, NULL));
	test_daemon();
	while (test_go())
		sum++;
	SABOTAGE(memset(&it, 0, sizeof(it)); setitimer(ITIMER_PROF, &it, NULL));
	memcpy(before, (void *)fired, sizeof(before));
	/* each must fire again soon */
	for (i = 0, end = now_ns(CLOCK_MONOTONIC) + 5 * NSEC;
	     i < 4 && now_ns(CLOCK_MONOTONIC) < end;)
		for (i = 0; i < 4 && fired[i] > before[i] + 1; i++)
			;
	for (i = 0; i < 4; i++)
		CHECK(fired[i] > before[i] + 1, "timer %d has stopped", i);
	CHECK(fired[0] - before[0] < 600, "timer 0 has fired %d times at once",
	      fired[0] - before[0]);
	pass();
}
