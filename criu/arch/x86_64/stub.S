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
.macro	look
	testl	$FUTEX_OWNER_DIED, STUB_MARK_FUTEX + stub_marks(%rip)
	jnz	.Lheal
	testl	$FUTEX_OWNER_DIED, STUB_MARK_SIZE + STUB_MARK_FUTEX + stub_marks(%rip)
	jnz	.Lend
.endm
	look
	int3
	look
	mov	%rbp, %rbx
	jmp	.Lnext

	/* criu is gone: the thread goes on as it was found, rt_sigreturn(2) with the frame behind the data area */
.Lheal:
	lea	HEAL_OFFSET(%rbp), %rsp
	mov	$15, %eax
	syscall
	ud2

	/*
	 * criu is gone, and the tasks run elsewhere: no more instruction of theirs here. SIGKILL, as PTRACE_O_EXITKILL would send; the first process of a
	 * pid namespace is immune to its own, and a filter of system calls may forbid the one or the other.
	 */
.Lend:
	mov	$39, %eax		/* getpid */
	syscall
	mov	%eax, %edi
	mov	$9, %esi
	mov	$62, %eax		/* kill */
	syscall
	mov	$137, %edi
	mov	$231, %eax		/* exit_group */
	syscall
	ud2

	/* futexes that criu owns: the kernel marks one of them when criu dies (remote/arena.h) */
	.org	stub_begin + STUB_MARKS_OFFSET
stub_marks:
	.zero	64
stub_end:
	.section .note.GNU-stack, "", @progbits
