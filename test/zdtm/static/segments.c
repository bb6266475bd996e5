// SPDX-License-Identifier: GPL-2.0-only
/* FS and GS bases: thread-local variables, and a GS base of the program's own. */
#include "zdtm.h"

#include <asm/prctl.h>
#include <pthread.h>

static __thread long local = 1;
static long gs_area[4] = { 11, 22, 33, 44 };
static volatile long seen;

static void *thread(void *arg)
{
	local = 7;
	while (test_go())
		sleep_ms(5);
	seen = local;
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long base = 0;
	pthread_t t;
	long value;

	test_init(argc, argv);
	local = 5;
	SYS(syscall(SYS_arch_prctl, ARCH_SET_GS, gs_area));
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	test_daemon();
	test_waitsig();
	pthread_join(t, NULL);
	SABOTAGE(syscall(SYS_arch_prctl, ARCH_SET_GS, gs_area + 1));
	syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
	CHECK(base == (unsigned long)gs_area, "GS base is %#lx, was %p", base, gs_area);
	asm volatile("mov %%gs:16, %0" : "=r"(value));
	CHECK(value == 33, "what GS points to is %ld", value);
	CHECK(local == 5 && seen == 7, "thread-local variables are %ld and %ld", local, seen);
	pass();
}
