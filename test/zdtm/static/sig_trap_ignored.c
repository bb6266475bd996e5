// SPDX-License-Identifier: GPL-2.0-only
/* An ignored SIGTRAP, the very signal that criu works with, in a process with threads. */
#include "zdtm.h"

#include <pthread.h>

static void *thread(void *arg)
{
	while (test_go())
		syscall(SYS_futex, &test_stop, 0, 0, NULL, NULL, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = SIG_IGN, .sa_flags = SA_RESTART }, now;
	pthread_t t;

	test_init(argc, argv);
	SYS(sigaction(SIGTRAP, &sa, NULL));
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	test_daemon();
	test_waitsig();
	SABOTAGE(signal(SIGTRAP, SIG_DFL));
	SYS(sigaction(SIGTRAP, NULL, &now));
	CHECK(now.sa_handler == SIG_IGN, "SIGTRAP is not ignored any more");
	CHECK(now.sa_flags & SA_RESTART, "flags %#x", now.sa_flags);
	kill(getpid(), SIGTRAP);
	pthread_join(t, NULL);
	pass();
}
