// SPDX-License-Identifier: GPL-2.0-only
/* ZMM and mask registers. */
#include "zdtm.h"

__attribute__((target("avx512f,avx512bw"))) static void wait_with(const void *in, void *out)
{
	asm volatile(".irp "
		     "n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,"
		     "28,29,30,31\n"
		     "vmovdqu64 \\n*64(%[in]), %%zmm\\n\n"
		     ".endr\n"
		     ".irp n,0,1,2,3,4,5,6,7\n"
		     "kmovq 2048+\\n*8(%[in]), %%k\\n\n"
		     ".endr\n"
		     "1: mov $202, %%eax\n"
		     "xor %%esi, %%esi; xor %%edx, %%edx; xor %%r10d, %%r10d\n"
		     "syscall\n"
		     "cmpl $0, (%%rdi)\n"
		     "je 1b\n"
		     ".irp "
		     "n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,"
		     "28,29,30,31\n"
		     "vmovdqu64 %%zmm\\n, \\n*64(%[out])\n"
		     ".endr\n"
		     ".irp n,0,1,2,3,4,5,6,7\n"
		     "kmovq %%k\\n, 2048+\\n*8(%[out])\n"
		     ".endr\n"
		     "vzeroupper\n"
		     :
		     : [in] "r"(in), [out] "r"(out), "D"(&test_stop)
		     : "rax", "rcx", "rdx", "rsi", "r10", "r11", "memory");
}

int main(int argc, char **argv)
{
	uint8_t in[32 * 64 + 64], out[32 * 64 + 64];

	test_init(argc, argv);
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw"))
		skip("no AVX-512");
	fill(in, sizeof(in), 5);
	test_daemon();
	wait_with(in, out);
	SABOTAGE(out[32 * 64 + 9] ^= 1);
	CHECK(differs(out, sizeof(out), 5) < 0, "byte %zd of zmm and mask registers differs",
	      differs(out, sizeof(out), 5));
	pass();
}
