// SPDX-License-Identifier: GPL-2.0-only
/* epoll_wait, sigtimedwait and semaphores with a timeout, which a stop ends with EINTR: no task may notice the checkpoint. */
#include "zdtm.h"

#include <sys/epoll.h>
#include <sys/wait.h>

static int pipefd[2];
static volatile int begun;
static const char *names[] = { "epoll_wait", "sigtimedwait", "waitpid", "epoll_pwait2" };
static int result[4], error[4];
static pid_t child;

static void *thread(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct timespec long_time = { 1000, 0 };
	int ep = SYS(epoll_create1(0)), status;
	long n = (long)arg;
	sigset_t set;

	SYS(epoll_ctl(ep, EPOLL_CTL_ADD, pipefd[0], &ev));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	errno = 0;
	if (n == 0)
		result[n] = epoll_wait(ep, &ev, 1, -1);
	else if (n == 1)
		result[n] = sigtimedwait(&set, NULL, &long_time) == SIGUSR1 ? 1 : -1;
	else if (n == 2)
		result[n] = waitpid(child, &status, 0) == child ? 1 : -1;
	else
		result[n] = syscall(SYS_epoll_pwait2, ep, &ev, 1, &long_time, NULL, 0);
	error[n] = result[n] == 1 ? 0 : errno;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[4];
	sigset_t set;
	long i;

	test_init(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	SYS(pipe(pipefd));
	child = test_fork();
	if (!child) {
		test_waitsig();
		_exit(0);
	}
	test_threads(t, 4, thread);
	AWAIT(begun == 4);
	sleep_ms(10);
	test_daemon();
	test_waitsig();
	SABOTAGE(result[0] = -1; error[0] = EINTR);
	for (i = 0; i < 4; i++)
		CHECK(!result[i], "%s returned %d (%s)", names[i], result[i], strerror(error[i]));
	write_all(pipefd[1], "x", 1);
	kill(getpid(), SIGUSR1);
	kill(child, SIGTERM);
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		CHECK(result[i] == 1, "%s gave %d (%s)", names[i], result[i], strerror(error[i]));
	}
	pass();
}
