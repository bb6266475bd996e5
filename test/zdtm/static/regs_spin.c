// SPDX-License-Identifier: GPL-2.0-only
/* General registers of a task that runs (is not in a system call), flags among them. */
#include "zdtm.h"

uint64_t regs_want[13], regs_got[13];
uint64_t flags_got;
void spin(void);

/* r8-r15, rbx, rbp, rsi, rdi, rdx hold regs_want[] while test_stop is 0; the carry and direction flags are set */
asm(".globl spin\n"
    "spin:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	lea regs_want(%rip), %rax\n"
    "	mov 0(%rax), %r8; mov 8(%rax), %r9; mov 16(%rax), %r10; mov 24(%rax), %r11\n"
    "	mov 32(%rax), %r12; mov 40(%rax), %r13; mov 48(%rax), %r14; mov 56(%rax), %r15\n"
    "	mov 64(%rax), %rbx; mov 72(%rax), %rbp; mov 80(%rax), %rsi; mov 88(%rax), %rdi\n"
    "	mov 96(%rax), %rdx\n"
    "	stc\n"
    "	std\n"
    "1:	mov test_stop@GOTPCREL(%rip), %rax\n"
    "	mov (%rax), %ecx\n"
    "	jrcxz 1b\n"
    "	pushfq\n"
    "	cld\n"
    "	lea regs_got(%rip), %rax\n"
    "	mov %r8, 0(%rax); mov %r9, 8(%rax); mov %r10, 16(%rax); mov %r11, 24(%rax)\n"
    "	mov %r12, 32(%rax); mov %r13, 40(%rax); mov %r14, 48(%rax); mov %r15, 56(%rax)\n"
    "	mov %rbx, 64(%rax); mov %rbp, 72(%rax); mov %rsi, 80(%rax); mov %rdi, 88(%rax)\n"
    "	mov %rdx, 96(%rax)\n"
    "	pop %rax\n"
    "	mov %rax, flags_got(%rip)\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

int main(int argc, char **argv)
{
	unsigned i;

	test_init(argc, argv);
	fill(regs_want, sizeof(regs_want), 1);
	test_daemon();
	spin();
	SABOTAGE(regs_got[7]++);
	for (i = 0; i < ARRAY_LEN(regs_want); i++)
		CHECK(regs_got[i] == regs_want[i], "register %u is %#lx, was %#lx", i, regs_got[i],
		      regs_want[i]);
	CHECK((flags_got & 0x401) == 0x401, "flags are %#lx, carry or direction is lost",
	      flags_got);
	pass();
}
