/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers of a thread: reading, writing, and their form in core-*.img. Everything that knows a register by
 * name is in this folder (regs.c, fpu.c, stub.S, vdso.c).
 */
#ifndef CRIU_ARCH_REGS_H
#define CRIU_ARCH_REGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "core.pb-c.h"

struct arch_regs {
	struct user_regs_struct r;
};

/* ptrace(2) PTRACE_GETREGSET NT_PRSTATUS of a stopped thread. -1 logged. */
int arch_get_regs(pid_t tid, struct arch_regs *regs);
int arch_set_regs(pid_t tid, const struct arch_regs *regs);
/* A copy of REGS set to execute system call NR with ARGS at the syscall instruction at IP. */
void arch_setup_syscall(struct arch_regs *regs, uint64_t ip, long nr, const uint64_t args[6]);
/* A copy of REGS set to run the stub at IP with the program at PROG. */
void arch_setup_stub(struct arch_regs *regs, uint64_t ip, uint64_t prog);
long arch_syscall_result(const struct arch_regs *regs);
uint64_t arch_ip(const struct arch_regs *regs);
void arch_set_ip(struct arch_regs *regs, uint64_t ip);
/* The byte sequence of the system call instruction (for finding one in the vDSO). */
extern const unsigned char arch_syscall_insn[];
extern const unsigned arch_syscall_insn_len;

/*
 * dump: registers as found at the stop, in the form that a fresh process can continue from: an interrupted system call
 * is rewound so that it is made again (restart_syscall, which a fresh process cannot do, becomes the call itself).
 */
void arch_rewind_syscall(pid_t tid, struct arch_regs *regs);
/*
 * dump: some system calls (epoll_wait, rt_sigtimedwait, those with a timeout on a socket) end with EINTR at any stop, signal(7).
 * Where no signal is there to be delivered, the stop was ours: the registers are changed so that the kernel makes the call again, as if
 * nothing had happened. True: changed.
 */
bool arch_hide_eintr(struct arch_regs *regs);
/*
 * dump: what rt_sigreturn(2) needs to put the stopped thread TID back as it was found (REGS, blocked signals, FPU state), written to FRAME of LEN
 * bytes, which the thread sees at REMOTE (64-aligned) and finds with its stack pointer there. Its uc_stack, ARCH_HEAL_ALTSTACK bytes into it, is
 * left to the caller. -1 logged.
 */
int arch_heal_frame(pid_t tid, const struct arch_regs *regs, uint64_t sigmask, void *frame,
		    uint64_t remote, size_t len);
#define ARCH_HEAL_ALTSTACK 16
/* dump: fills core->mtype and core->thread_info (general registers, FPU and XSAVE state, TLS). Frees with the core. -1 logged. */
int arch_dump_thread(pid_t tid, const struct arch_regs *regs, CoreEntry *core);
/* The field of CORE (whose thread_info is set) for the address of set_tid_address(2). */
uint64_t *arch_clear_tid_addr(const CoreEntry *core);
/* restore: puts FPU state, TLS descriptors and general registers of CORE into the stopped thread TID. -1 logged. */
int arch_restore_fpu(pid_t tid, const CoreEntry *core);
int arch_restore_regs(pid_t tid, const CoreEntry *core);
/* The instruction pointer, the stack pointer and the base of thread-local storage in CORE; 0 where unknown. */
uint64_t arch_core_ip(const CoreEntry *core);
uint64_t arch_core_sp(const CoreEntry *core);
uint64_t arch_core_tls(const CoreEntry *core);
/* restore: can this CPU load the XSAVE state that CORE holds? -1 logged: which feature is missing. */
int arch_check_core(const CoreEntry *core);
extern const int arch_march; /* core_entry.mtype of this architecture */

#endif
