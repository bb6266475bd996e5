// SPDX-License-Identifier: GPL-2.0-only
/* Two hundred threads, each with a mask, a name and a place of its own. */
#include "zdtm.h"

#include <pthread.h>

#define NR 200
static volatile int begun, bad;

static void *thread(void *arg)
{
	long n = (long)arg;
	char name[16], now[16];
	pid_t tid = gettid();
	sigset_t set, is;

	sigemptyset(&set);
	sigaddset(&set, 34 + n % 30);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	snprintf(name, sizeof(name), "worker %ld", n);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	while (test_go())
		syscall(SYS_futex, &test_stop, 0, 0, NULL, NULL, 0);
	prctl(PR_GET_NAME, now, 0, 0, 0);
	pthread_sigmask(SIG_SETMASK, NULL, &is);
	SABOTAGE(if (n == 150) now[0] = 'W');
	if (strcmp(now, name) || memcmp(&is, &set, 8) || gettid() != tid)
		bad = n + 1;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[NR];
	long i;

	test_init(argc, argv);
	for (i = 0; i < NR; i++)
		if (pthread_create(&t[i], NULL, thread, (void *)i))
			die("pthread_create");
	AWAIT(begun == NR);
	test_daemon();
	test_waitsig();
	syscall(SYS_futex, &test_stop, 1, NR, NULL, NULL, 0);
	for (i = 0; i < NR; i++)
		CHECK(!pthread_join(t[i], NULL), "thread %ld is lost", i);
	CHECK(!bad, "thread %d has another name, mask or id", bad - 1);
	pass();
}
