// SPDX-License-Identifier: GPL-2.0-only
/* Pending signals of the process and of each thread stay where they are, with who sent them. */
#include "zdtm.h"

#include <pthread.h>

static volatile int ready;
static pid_t thread_tid;
static siginfo_t thread_info[2];
static int thread_got[2];

static int take(int sig, siginfo_t *info)
{
	struct timespec zero = { 0, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	/* glibc's hides SI_TKILL */
	return syscall(SYS_rt_sigtimedwait, &set, info, &zero, 8);
}

static void *thread(void *arg)
{
	thread_tid = gettid();
	ready = 1;
	while (test_go())
		syscall(SYS_futex, &test_stop, 0, 0, NULL, NULL, 0);
	thread_got[0] = take(SIGUSR1, &thread_info[0]);
	thread_got[1] = take(SIGUSR2, &thread_info[1]);
	return NULL;
}

static void stop_thread(int sig)
{
	test_stop = 1;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = stop_thread };
	siginfo_t info;
	sigset_t set;
	pthread_t t;
	int got;

	test_init(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	SYS(sigaction(SIGALRM, &sa, NULL));
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	AWAIT(ready);
	SYS(kill(getpid(), SIGHUP));				 /* the process's */
	SYS(syscall(SYS_tgkill, getpid(), thread_tid, SIGUSR1)); /* the thread's */
	SYS(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR2));	 /* the leader's */
	test_daemon();
	test_waitsig();
	SABOTAGE(take(SIGUSR2, &info));
	pthread_kill(t, SIGALRM); /* ends its futex */
	pthread_join(t, NULL);
	CHECK(thread_got[0] == SIGUSR1, "the thread's SIGUSR1 is lost");
	CHECK(thread_info[0].si_code == SI_TKILL && thread_info[0].si_pid == getpid(),
	      "the thread's SIGUSR1 has code %d, pid %d", thread_info[0].si_code,
	      thread_info[0].si_pid);
	CHECK(thread_got[1] != SIGUSR2, "the leader's SIGUSR2 went to the thread");
	got = take(SIGUSR1, &info);
	CHECK(got != SIGUSR1, "the thread's SIGUSR1 is pending for the leader too");
	got = take(SIGUSR2, &info);
	CHECK(got == SIGUSR2 && info.si_code == SI_TKILL, "the leader's SIGUSR2 is lost");
	got = take(SIGHUP, &info);
	CHECK(got == SIGHUP, "the process's SIGHUP is lost");
	CHECK(info.si_code == SI_USER && info.si_pid == getpid() && info.si_uid == getuid(),
	      "SIGHUP has code %d, pid %d, uid %d", info.si_code, info.si_pid, info.si_uid);
	pass();
}
