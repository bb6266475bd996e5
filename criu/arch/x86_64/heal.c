// SPDX-License-Identifier: GPL-2.0-only
/* The signal frame with which a puppet puts itself back when criu dies: see remote/arena.h, stub.S. */
#include <stddef.h>
#include <stdint.h>
#include <asm/sigcontext.h>
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "regs.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* struct ucontext of the kernel (asm/ucontext.h, which glibc's headers do not let us include) */
struct frame {
	uint64_t flags, link;
	struct {
		uint64_t sp;
		uint32_t flags, pad;
		uint64_t size;
	} altstack;
	struct sigcontext_64 mc;
	uint64_t sigmask;
};
#define UC_FP_XSTATE	     1
#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4
#define XSTATE_OFFSET	     512 /* of the frame, 64-aligned */
#define SW_OFFSET	     464 /* struct _fpx_sw_bytes in the legacy area */
#define XSTATE_BV_OFFSET     512

_Static_assert(offsetof(struct frame, altstack) == ARCH_HEAL_ALTSTACK, "see regs.h");

/* The FPU state as the kernel would have saved it for a signal: Documentation/arch/x86/xstate.rst, asm/sigcontext.h */
static int add_xstate(pid_t tid, char *xstate, size_t len)
{
	struct iovec iov = { xstate, round_down(len - 4, 64UL) };
	struct _fpx_sw_bytes sw = { .magic1 = FP_XSTATE_MAGIC1 };
	uint32_t magic2 = FP_XSTATE_MAGIC2;

	if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov)) {
		pr_perror("Can't read the FPU state of task %d", tid);
		return -1;
	}
	if (iov.iov_len + 4 > len) {
		pr_err("The FPU state of task %d takes %zu bytes, more than there is room for", tid,
		       iov.iov_len);
		return -1;
	}
	/* ptrace says in these bytes which components the processor has (XCR0) */
	memcpy(&sw.xfeatures, xstate + SW_OFFSET, sizeof(sw.xfeatures));
	sw.xstate_size = iov.iov_len;
	sw.extended_size = iov.iov_len + 4;
	memcpy(xstate + SW_OFFSET, &sw, sizeof(sw));
	memcpy(xstate + iov.iov_len, &magic2, 4);
	return 0;
}

int arch_heal_frame(pid_t tid, const struct arch_regs *found, uint64_t sigmask, void *frame,
		    uint64_t remote, size_t len)
{
	struct arch_regs regs = *found;
	struct frame *f = frame;

	/* rt_sigreturn does not restart an interrupted system call: it begins anew */
	arch_rewind_syscall(tid, &regs);
	f->flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	f->mc = (struct sigcontext_64){
		.r8 = regs.r.r8,
		.r9 = regs.r.r9,
		.r10 = regs.r.r10,
		.r11 = regs.r.r11,
		.r12 = regs.r.r12,
		.r13 = regs.r.r13,
		.r14 = regs.r.r14,
		.r15 = regs.r.r15,
		.di = regs.r.rdi,
		.si = regs.r.rsi,
		.bp = regs.r.rbp,
		.bx = regs.r.rbx,
		.dx = regs.r.rdx,
		.ax = regs.r.rax,
		.cx = regs.r.rcx,
		.sp = regs.r.rsp,
		.ip = regs.r.rip,
		.flags = regs.r.eflags,
		.cs = regs.r.cs,
		.ss = regs.r.ss,
		.fpstate = remote + XSTATE_OFFSET,
	};
	f->sigmask = sigmask;
	return add_xstate(tid, (char *)frame + XSTATE_OFFSET, len - XSTATE_OFFSET);
}
