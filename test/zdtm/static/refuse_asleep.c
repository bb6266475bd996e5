// SPDX-License-Identifier: GPL-2.0-only
/* A dump that is refused early, of threads in epoll_wait(), sigtimedwait() and nanosleep(): none of them notices. */
#include "zdtm.h"

#include <pthread.h>
#include <sys/epoll.h>

static volatile int begun;
static int result[3], error[3], pipefd[2];

static void *thread(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct timespec long_time = { 1000, 0 };
	int ep = SYS(epoll_create1(0));
	long n = (long)arg;
	sigset_t set;

	SYS(epoll_ctl(ep, EPOLL_CTL_ADD, pipefd[0], &ev));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	errno = 0;
	if (n == 0)
		result[n] = epoll_wait(ep, &ev, 1, 1000000);
	else if (n == 1)
		result[n] = sigtimedwait(&set, NULL, &long_time);
	else
		result[n] = clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL) ? -1 : 1;
	error[n] = errno;
	return NULL;
}

int main(int argc, char **argv)
{
	sigset_t set, old;
	pthread_t t[3];
	long i;

	test_init(argc, argv);
	/* what dump does not know */
	if (syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */) < 0)
		skip("no userfaultfd");
	SYS(pipe(pipefd));
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	for (i = 0; i < 3; i++)
		if (pthread_create(&t[i], NULL, thread, (void *)i))
			die("pthread_create");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	AWAIT(begun == 3);
	sleep_ms(10);
	test_daemon();
	test_waitsig();
	for (i = 0; i < 3; i++)
		CHECK(!result[i], "sleeper %ld returned %d (%s)", i, result[i], strerror(error[i]));
	pass();
}
