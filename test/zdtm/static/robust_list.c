// SPDX-License-Identifier: GPL-2.0-only
/* The robust futex list, and the address that is cleared when a thread ends. */
#include "zdtm.h"

#include <linux/futex.h>
#include <pthread.h>

static struct robust_list_head head = { { &head.list }, 8, NULL };
static pthread_mutex_t *mutex;
static volatile int ready;

static void *thread(void *arg)
{
	pthread_mutex_lock(mutex);
	ready = 1;
	while (test_go())
		syscall(SYS_futex, &test_stop, 0, 0, NULL, NULL, 0);
	return NULL; /* with the mutex locked */
}

int main(int argc, char **argv)
{
	struct robust_list_head *now = NULL;
	pthread_mutexattr_t attr;
	size_t len = 0;
	pthread_t t;
	int ret;

	test_init(argc, argv);
	mutex = map_anon(PAGE, true);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &attr);
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	AWAIT(ready);
	SYS(syscall(SYS_set_robust_list, &head, sizeof(head)));
	test_daemon();
	test_waitsig();
	syscall(SYS_futex, &test_stop, 1, 10, NULL, NULL, 0);
	SABOTAGE(syscall(SYS_set_robust_list, &ret, sizeof(head)));
	/* pthread_join() waits until the kernel has cleared the tid's address */
	pthread_join(t, NULL);
	CHECK(!syscall(SYS_get_robust_list, 0, &now, &len), "get_robust_list");
	CHECK(now == &head && len == sizeof(head), "the list is at %p, was %p", now, &head);
	ret = pthread_mutex_lock(mutex);
	CHECK(ret == EOWNERDEAD, "the dead thread's mutex: %s", strerror(ret));
	pass();
}
