/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only foreign code a task ever runs: executes the array of system calls at %rbx (struct rcall, see
 * remote/program.h) and traps. Position independent, uses no stack. After the trap it starts over with the same array,
 * which criu has filled anew.
 */
#define CALL_SIZE_SHIFT 7
#define NR	0
#define FLAGS	4
#define REFS	6
#define ARG(n)	(8 + 8 * (n))
#define RET	56

#include "remote/layout.h"

#define FUTEX_OWNER_DIED 0x40000000

#define RC_STOP 1
#define RC_END	4

	.text
	.globl	stub_begin, stub_end
	.balign	16
stub_begin:
	mov	%rbx, %rbp		/* the program's first call: results are found from here */
.Lnext:
	movzwl	FLAGS(%rbx), %r13d
	test	$RC_END, %r13d
	jnz	.Ldone
	movzwl	REFS(%rbx), %r14d
	mov	ARG(0)(%rbx), %rdi
	mov	ARG(1)(%rbx), %rsi
	mov	ARG(2)(%rbx), %rdx
	mov	ARG(3)(%rbx), %r10
	mov	ARG(4)(%rbx), %r8
	mov	ARG(5)(%rbx), %r9
	test	%r14d, %r14d
	jz	.Lcall
.macro	ref n, reg
	bt	$\n, %r14d
	jnc	1f
	shl	$CALL_SIZE_SHIFT, %\reg
	mov	RET(%rbp, %\reg), %\reg
1:
.endm
	ref	0, rdi
	ref	1, rsi
	ref	2, rdx
	ref	3, r10
	ref	4, r8
	ref	5, r9
.Lcall:
	mov	NR(%rbx), %eax
	syscall
	mov	%rax, RET(%rbx)
	test	$RC_STOP, %r13d
	jz	.Lstep
	cmp	$-4096, %rax
	ja	.Ldone			/* -4095..-1: failed */
.Lstep:
	add	$(1 << CALL_SIZE_SHIFT), %rbx
	jmp	.Lnext
.Ldone:
	testl	$FUTEX_OWNER_DIED, stub_alive(%rip)
	jnz	.Lheal
	int3
	testl	$FUTEX_OWNER_DIED, stub_alive(%rip)
	jnz	.Lheal
	mov	%rbp, %rbx
	jmp	.Lnext

	/* criu is gone: the thread goes on as it was found, rt_sigreturn(2) with the frame behind the data area */
.Lheal:
	lea	HEAL_OFFSET(%rbp), %rsp
	mov	$15, %eax
	syscall
	ud2

	/* the lock word of a robust mutex that criu holds: the kernel marks it when criu dies (remote/arena.h) */
	.org	stub_begin + STUB_ALIVE_OFFSET
stub_alive:
	.zero	64
stub_end:
	.section .note.GNU-stack, "", @progbits
