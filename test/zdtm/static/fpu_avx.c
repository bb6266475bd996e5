// SPDX-License-Identifier: GPL-2.0-only
/* YMM registers, of a task in a system call. */
#include "zdtm.h"

__attribute__((target("avx"))) static void wait_with(const void *in, void *out)
{
	asm volatile(".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "vmovdqu \\n*32(%[in]), %%ymm\\n\n"
		     ".endr\n"
		     "1: mov $202, %%eax\n"
		     "xor %%esi, %%esi; xor %%edx, %%edx; xor %%r10d, %%r10d\n"
		     "syscall\n"
		     "cmpl $0, (%%rdi)\n"
		     "je 1b\n"
		     ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "vmovdqu %%ymm\\n, \\n*32(%[out])\n"
		     ".endr\n"
		     "vzeroupper\n"
		     :
		     : [in] "r"(in), [out] "r"(out), "D"(&test_stop)
		     : "rax", "rcx", "rdx", "rsi", "r10", "r11", "memory");
}

int main(int argc, char **argv)
{
	uint8_t in[16 * 32], out[16 * 32];

	test_init(argc, argv);
	if (!__builtin_cpu_supports("avx"))
		skip("no AVX");
	fill(in, sizeof(in), 4);
	test_daemon();
	wait_with(in, out);
	SABOTAGE(out[31] ^= 1);
	CHECK(differs(out, sizeof(out), 4) < 0, "ymm%zd is not what it was",
	      differs(out, sizeof(out), 4) / 32);
	pass();
}
