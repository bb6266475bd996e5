// SPDX-License-Identifier: GPL-2.0-only
/*
 * A child executes this program again and again, from its second thread, which so takes the first one's tid. Each execution
 * says so with a byte.
 */
#include "zdtm.h"

#include <pthread.h>

#define SAY 20

static char **args;

static void *execute(void *arg)
{
	usleep(now_ns(CLOCK_MONOTONIC) / 1000 % 1500);
	execv("/proc/self/exe", args);
	_exit(9);
}

static void executed(void)
{
	pthread_t t;

	(void)!write(SAY, "x", 1);
	pthread_create(&t, NULL, execute, NULL);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int fd[2], said = 0;
	char buf[4096];
	pid_t pid;

	args = argv;
	if (argc == 2)
		executed();
	test_init(argc, argv);
	SYS(pipe2(fd, O_NONBLOCK | O_CLOEXEC));
	pid = SYS(fork());
	if (!pid) {
		SYS(dup2(fd[1], SAY));
		execl("/proc/self/exe", "exec_threads", "again", NULL);
		_exit(9);
	}
	test_daemon();
	while (test_go()) {
		(void)!read(fd[0], buf, sizeof(buf));
		sleep_ms(1);
	}
	SABOTAGE(kill(pid, SIGKILL); sleep_ms(10)); /* a stop can get lost in an execve() */
	while (read(fd[0], buf, sizeof(buf)) > 0)
		;
	for (int i = 0; i < 1000 && said < 3; i++) {
		said += read(fd[0], buf, 1) == 1;
		sleep_ms(2);
	}
	CHECK(said == 3, "it was executed %d times", said);
	kill(pid, SIGKILL);
	test_wait(pid);
	pass();
}
