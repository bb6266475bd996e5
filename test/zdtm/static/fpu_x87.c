// SPDX-License-Identifier: GPL-2.0-only
/* The x87 stack, its control word and its status. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	double in[5] = { 3.25, -1e300, 0.1, 42.0, 1e-300 }, out[5];
	uint16_t control = 0x0e7f, control_after, status_after; /* round towards zero, 53 bits */
	int i;

	test_init(argc, argv);
	test_daemon();
	asm volatile(
		"fninit; fldcw %[cw]\n"
		"fldl 0(%[in]); fldl 8(%[in]); fldl 16(%[in]); fldl 24(%[in]); fldl 32(%[in])\n"
		"1: mov $202, %%eax\n"
		"xor %%esi, %%esi; xor %%edx, %%edx; xor %%r10d, %%r10d\n"
		"syscall\n"
		"cmpl $0, (%%rdi)\n"
		"je 1b\n"
		"fnstcw %[cwa]; fnstsw %[swa]\n"
		"fstpl 32(%[out]); fstpl 24(%[out]); fstpl 16(%[out]); fstpl 8(%[out]); fstpl "
		"0(%[out])\n"
		"fninit\n"
		: [cwa] "=m"(control_after), [swa] "=m"(status_after)
		: [cw] "m"(control), [in] "r"(in), [out] "r"(out), "D"(&test_stop)
		: "rax", "rcx", "rdx", "rsi", "r10", "r11", "memory");
	SABOTAGE(out[2] = 0.2);
	CHECK(control_after == control, "control word is %#x, was %#x", control_after, control);
	CHECK((status_after >> 11 & 7) == 3, "the stack's top is %d, was 3",
	      status_after >> 11 & 7);
	for (i = 0; i < 5; i++)
		CHECK(out[i] == in[i], "register %d is %g, was %g", i, out[i], in[i]);
	pass();
}
