// SPDX-License-Identifier: GPL-2.0-only
/* XMM registers and MXCSR (rounding, exceptions masked and raised) of a task that runs. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	uint32_t mxcsr = 0x7f80 | 0x20, mxcsr_after, normal = 0x1f80;
	uint8_t in[16 * 16], out[16 * 16];

	test_init(argc, argv);
	fill(in, sizeof(in), 3);
	test_daemon();
	asm volatile("ldmxcsr %[mx]\n"
		     ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "movdqu \\n*16(%[in]), %%xmm\\n\n"
		     ".endr\n"
		     "1: cmpl $0, (%[stop])\n"
		     "je 1b\n"
		     ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "movdqu %%xmm\\n, \\n*16(%[out])\n"
		     ".endr\n"
		     "stmxcsr %[mxa]; ldmxcsr %[normal]\n"
		     : [mxa] "=m"(mxcsr_after)
		     : [mx] "m"(mxcsr), [normal] "m"(normal), [in] "r"(in), [out] "r"(out),
		       [stop] "r"(&test_stop)
		     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	SABOTAGE(out[200] ^= 1);
	CHECK(mxcsr_after == mxcsr, "MXCSR is %#x, was %#x", mxcsr_after, mxcsr);
	CHECK(differs(out, sizeof(out), 3) < 0, "xmm%zd is not what it was",
	      differs(out, sizeof(out), 3) / 16);
	pass();
}
