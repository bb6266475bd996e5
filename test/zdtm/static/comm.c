// SPDX-License-Identifier: GPL-2.0-only
/* Names of the process and of threads, with blanks and parentheses. */
#include "zdtm.h"

#include <pthread.h>

static volatile int ready;
static char seen[16];

static void *thread(void *arg)
{
	SYS(prctl(PR_SET_NAME, "thr) S 1 (x", 0, 0, 0));
	ready = 1;
	while (test_go())
		syscall(SYS_futex, &test_stop, 0, 0, NULL, NULL, 0);
	prctl(PR_GET_NAME, seen, 0, 0, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	char name[16] = "";
	pthread_t t;

	test_init(argc, argv);
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	AWAIT(ready);
	SYS(prctl(PR_SET_NAME, "a name) (15 abc", 0, 0, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(prctl(PR_SET_NAME, "x", 0, 0, 0));
	syscall(SYS_futex, &test_stop, 1, 10, NULL, NULL, 0);
	pthread_join(t, NULL);
	prctl(PR_GET_NAME, name, 0, 0, 0);
	CHECK(!strcmp(name, "a name) (15 abc"), "the name is %s", name);
	CHECK(!strcmp(seen, "thr) S 1 (x"), "the thread's name is %s", seen);
	pass();
}
