// SPDX-License-Identifier: GPL-2.0-only
/* Nice values of the leader and of a thread. */
#include "zdtm.h"

#include <pthread.h>
#include <sys/resource.h>

static volatile pid_t tid;

static void *thread(void *arg)
{
	SYS(setpriority(PRIO_PROCESS, gettid(), 11));
	tid = gettid();
	for (;;)
		pause();
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t;

	test_init(argc, argv);
	SYS(setpriority(PRIO_PROCESS, 0, 5));
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	AWAIT(tid);
	test_daemon();
	test_waitsig();
	SABOTAGE(setpriority(PRIO_PROCESS, 0, 6));
	CHECK(getpriority(PRIO_PROCESS, 0) == 5, "the leader's is %d",
	      getpriority(PRIO_PROCESS, 0));
	CHECK(getpriority(PRIO_PROCESS, tid) == 11, "the thread's is %d",
	      getpriority(PRIO_PROCESS, tid));
	pass();
}
