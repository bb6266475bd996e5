// SPDX-License-Identifier: GPL-2.0-only
/* Alternate signal stacks of the leader and of a thread; handlers run on them. */
#include "zdtm.h"

#include <pthread.h>

static volatile int ready;
static char stack_a[64 * 1024], stack_b[64 * 1024];
static void *volatile handler_ran_at[2];
static __thread int me;
static stack_t thread_stack;
static volatile int go;

static void handler(int sig)
{
	int here;

	handler_ran_at[me] = &here;
}

static void *thread(void *arg)
{
	stack_t ss = { .ss_sp = stack_b,
		       .ss_size = sizeof(stack_b),
		       .ss_flags = 1U << 31 /* SS_AUTODISARM */ };

	me = 1;
	SYS(sigaltstack(&ss, NULL));
	ready = 1;
	while (!go)
		syscall(SYS_futex, &go, 0, 0, NULL, NULL, 0);
	pthread_kill(pthread_self(), SIGUSR1);
	sigaltstack(NULL, &thread_stack);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	stack_t ss = { .ss_sp = stack_a, .ss_size = sizeof(stack_a) }, now;
	pthread_t t;

	test_init(argc, argv);
	SYS(sigaltstack(&ss, NULL));
	SYS(sigaction(SIGUSR1, &sa, NULL));
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	AWAIT(ready);
	test_daemon();
	test_waitsig();
	SABOTAGE(ss.ss_flags = SS_DISABLE; sigaltstack(&ss, NULL));
	go = 1;
	syscall(SYS_futex, &go, 1, 10, NULL, NULL, 0);
	pthread_join(t, NULL);
	raise(SIGUSR1);
	sigaltstack(NULL, &now);
	CHECK(now.ss_sp == stack_a && now.ss_size == sizeof(stack_a) && !now.ss_flags,
	      "the leader's is %p, %zu bytes, flags %#x", now.ss_sp, now.ss_size, now.ss_flags);
	CHECK(thread_stack.ss_sp == stack_b && thread_stack.ss_size == sizeof(stack_b) &&
		      thread_stack.ss_flags == (int)(1U << 31),
	      "the thread's is %p, %zu bytes, flags %#x", thread_stack.ss_sp, thread_stack.ss_size,
	      thread_stack.ss_flags);
	CHECK((char *)handler_ran_at[0] >= stack_a &&
		      (char *)handler_ran_at[0] < stack_a + sizeof(stack_a),
	      "the leader's handler ran at %p", handler_ran_at[0]);
	CHECK((char *)handler_ran_at[1] >= stack_b &&
		      (char *)handler_ran_at[1] < stack_b + sizeof(stack_b),
	      "the thread's handler ran at %p", handler_ran_at[1]);
	pass();
}
