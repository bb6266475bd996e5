// SPDX-License-Identifier: GPL-2.0-only
/* Threads wait on a mutex, a condition, a barrier, a semaphore, a rwlock, a join: all go on rightly. */
#include "zdtm.h"

#include <pthread.h>
#include <semaphore.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static int value, done, begun;

static void *waiter(void *arg)
{
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	switch ((long)arg) {
	case 0:
		pthread_mutex_lock(&mutex);
		CHECK(value == 1, "the mutex was got too early");
		pthread_mutex_unlock(&mutex);
		break;
	case 1:
		pthread_mutex_lock(&cond_mutex);
		while (!value)
			pthread_cond_wait(&cond, &cond_mutex);
		pthread_mutex_unlock(&cond_mutex);
		break;
	case 2:
		pthread_barrier_wait(&barrier);
		CHECK(value == 1, "the barrier opened too early");
		break;
	case 3:
		CHECK(!sem_wait(&sem), "sem_wait");
		CHECK(value == 1, "the semaphore was got too early");
		break;
	case 4:
		pthread_rwlock_rdlock(&rwlock);
		CHECK(value == 1, "the lock was got too early");
		pthread_rwlock_unlock(&rwlock);
		break;
	}
	__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[5];
	long i;

	test_init(argc, argv);
	pthread_barrier_init(&barrier, NULL, 2);
	sem_init(&sem, 0, 0);
	pthread_mutex_lock(&mutex);
	pthread_rwlock_wrlock(&rwlock);
	for (i = 0; i < 5; i++)
		if (pthread_create(&t[i], NULL, waiter, (void *)i))
			die("pthread_create");
	AWAIT(__atomic_load_n(&begun, __ATOMIC_SEQ_CST) == 5);
	sleep_ms(10);
	test_daemon();
	test_waitsig();
	SABOTAGE(sem_post(&sem); sleep_ms(20));
	CHECK(!done, "%d waiters went on too early", done);
	pthread_mutex_lock(&cond_mutex);
	value = 1;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&cond_mutex);
	pthread_mutex_unlock(&mutex);
	pthread_rwlock_unlock(&rwlock);
	pthread_barrier_wait(&barrier);
	sem_post(&sem);
	for (i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	CHECK(done == 5, "%d of 5 are done", done);
	pass();
}
