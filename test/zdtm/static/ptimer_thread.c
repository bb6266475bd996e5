// SPDX-License-Identifier: GPL-2.0-only
/* A POSIX timer that signals one thread. */
#include "zdtm.h"

#include <pthread.h>

static volatile pid_t tid, got_in;
static volatile int got_value;

static void on_timer(int sig, siginfo_t *info, void *context)
{
	got_value = info->si_value.sival_int;
	got_in = gettid();
}

static void *thread(void *arg)
{
	tid = gettid();
	for (;;)
		pause();
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO };
	struct itimerspec it = { { 0, 0 }, { 1000, 0 } };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID,
			       .sigev_signo = SIGUSR1,
			       .sigev_value.sival_int = 99 };
	int64_t end;
	pthread_t t;
	int id;

	test_init(argc, argv);
	SYS(sigaction(SIGUSR1, &sa, NULL));
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	AWAIT(tid);
	ev._sigev_un._tid = tid;
	SYS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	SYS(syscall(SYS_timer_settime, id, 0, &it, NULL));
	test_daemon();
	test_waitsig();
	SABOTAGE(syscall(SYS_timer_delete, id));
	it.it_value = (struct timespec){ 0, 1000000 };
	syscall(SYS_timer_settime, id, 0, &it, NULL);
	for (end = now_ns(CLOCK_MONOTONIC) + 3 * NSEC; !got_in && now_ns(CLOCK_MONOTONIC) < end;)
		sleep_ms(1);
	CHECK(got_in == tid && got_value == 99, "the signal came to %d with %d, the thread is %d",
	      got_in, got_value, tid);
	pass();
}
