// SPDX-License-Identifier: GPL-2.0-only
/* Each thread has floating-point state of its own; some sleep, some compute. */
#include "zdtm.h"

#include <pthread.h>

#define NR 8
static uint8_t got[NR][256];

static void *thread(void *arg)
{
	long n = (long)arg;
	uint8_t in[256];

	fill(in, sizeof(in), n);
	asm volatile(".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "movdqu \\n*16(%[in]), %%xmm\\n\n"
		     ".endr\n"
		     "1: test $1, %[odd]\n"
		     "jnz 2f\n"
		     "mov $24, %%eax\n" /* sched_yield */
		     "syscall\n"
		     "2: pause\n"
		     "cmpl $0, (%[stop])\n"
		     "je 1b\n"
		     ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "movdqu %%xmm\\n, \\n*16(%[out])\n"
		     ".endr\n"
		     :
		     : [in] "r"(in), [out] "r"(got[n]), [stop] "r"(&test_stop), [odd] "r"(n)
		     : "rax", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
		       "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
		       "xmm14", "xmm15");
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[NR];
	long i;

	test_init(argc, argv);
	for (i = 0; i < NR; i++)
		if (pthread_create(&threads[i], NULL, thread, (void *)i))
			die("pthread_create");
	test_daemon();
	test_waitsig();
	for (i = 0; i < NR; i++)
		pthread_join(threads[i], NULL);
	SABOTAGE(got[3][17] ^= 4);
	for (i = 0; i < NR; i++)
		CHECK(differs(got[i], 256, i) < 0, "thread %ld: xmm%zd differs", i,
		      differs(got[i], 256, i) / 16);
	pass();
}
