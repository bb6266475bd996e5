// SPDX-License-Identifier: GPL-2.0-only
/* Registers that a system call preserves, of a task that sleeps in one. */
#include "zdtm.h"

uint64_t regs_want[9], regs_got[9];
void wait_in_futex(void);

/* rbx, rbp, r8, r9, r12-r15 hold regs_want[] during futex(&test_stop, FUTEX_WAIT, 0, NULL); regs_got[8] is rsp's change */
asm(".globl wait_in_futex\n"
    "wait_in_futex:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	mov %rsp, regs_got+64(%rip)\n"
    "	lea regs_want(%rip), %rax\n"
    "	mov 0(%rax), %rbx; mov 8(%rax), %rbp; mov 16(%rax), %r8; mov 24(%rax), %r9\n"
    "	mov 32(%rax), %r12; mov 40(%rax), %r13; mov 48(%rax), %r14; mov 56(%rax), %r15\n"
    "1:	mov $202, %eax\n"
    "	mov test_stop@GOTPCREL(%rip), %rdi\n"
    "	xor %esi, %esi\n"
    "	xor %edx, %edx\n"
    "	xor %r10d, %r10d\n"
    "	syscall\n"
    "	cmpl $0, (%rdi)\n"
    "	je 1b\n"
    "	sub %rsp, regs_got+64(%rip)\n"
    "	lea regs_got(%rip), %rax\n"
    "	mov %rbx, 0(%rax); mov %rbp, 8(%rax); mov %r8, 16(%rax); mov %r9, 24(%rax)\n"
    "	mov %r12, 32(%rax); mov %r13, 40(%rax); mov %r14, 48(%rax); mov %r15, 56(%rax)\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

int main(int argc, char **argv)
{
	unsigned i;

	test_init(argc, argv);
	fill(regs_want, 64, 2);
	test_daemon();
	wait_in_futex();
	SABOTAGE(regs_got[0] = 0);
	for (i = 0; i < ARRAY_LEN(regs_want); i++)
		CHECK(regs_got[i] == regs_want[i], "register %u is %#lx, was %#lx", i, regs_got[i],
		      regs_want[i]);
	pass();
}
