// SPDX-License-Identifier: GPL-2.0-only
#include "regs.h"

#include <asm/unistd.h>
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "util/log.h"

/* What an interrupted system call leaves in rax: never seen by programs, so no header of theirs has them (linux/errno.h). */
#define ERESTARTSYS	      512
#define ERESTARTNOINTR	      513
#define ERESTARTNOHAND	      514
#define ERESTART_RESTARTBLOCK 516

#define FLAG_TRAP	      0x100
#define FLAG_DIRECTION	      0x400

const unsigned char arch_syscall_insn[] = { 0x0f, 0x05 };
const unsigned arch_syscall_insn_len = sizeof(arch_syscall_insn);

int arch_get_regs(pid_t tid, struct arch_regs *regs)
{
	struct iovec iov = { &regs->r, sizeof(regs->r) };

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov)) {
		pr_perror("task %d: cannot read its registers", tid);
		return -1;
	}
	if (iov.iov_len != sizeof(regs->r)) {
		pr_err("task %d runs 32-bit code, which is not supported", tid);
		return -1;
	}
	return 0;
}

int arch_set_regs(pid_t tid, const struct arch_regs *regs)
{
	struct iovec iov = { (void *)&regs->r, sizeof(regs->r) };

	if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov)) {
		pr_perror("task %d: cannot set its registers", tid);
		return -1;
	}
	return 0;
}

/* orig_rax -1: the kernel must not take what we run for a system call that it has to restart */
static void leave_syscall(struct arch_regs *regs, uint64_t ip)
{
	regs->r.orig_rax = -1;
	regs->r.rip = ip;
	regs->r.eflags &= ~(FLAG_TRAP | FLAG_DIRECTION);
}

void arch_setup_syscall(struct arch_regs *regs, uint64_t ip, long nr, const uint64_t args[6])
{
	leave_syscall(regs, ip);
	regs->r.rax = nr;
	regs->r.rdi = args[0];
	regs->r.rsi = args[1];
	regs->r.rdx = args[2];
	regs->r.r10 = args[3];
	regs->r.r8 = args[4];
	regs->r.r9 = args[5];
}

void arch_setup_stub(struct arch_regs *regs, uint64_t ip, uint64_t prog)
{
	leave_syscall(regs, ip);
	regs->r.rbx = prog;
}

long arch_syscall_result(const struct arch_regs *regs)
{
	return regs->r.rax;
}

uint64_t arch_ip(const struct arch_regs *regs)
{
	return regs->r.rip;
}

void arch_set_ip(struct arch_regs *regs, uint64_t ip)
{
	regs->r.rip = ip;
}

/*
 * A thread that was interrupted, let go and interrupted again is in restart_syscall, and what it restarts is known to the kernel
 * only. Nearly every such call is made by "mov $nr, %eax; syscall" of a libc. -1: it is not.
 */
static long restarted_syscall(pid_t tid, const struct arch_regs *regs)
{
	unsigned char code[7];
	struct iovec local = { code, sizeof(code) };
	struct iovec remote = { (void *)(regs->r.rip - sizeof(code)), sizeof(code) };
	uint32_t nr;

	if (process_vm_readv(tid, &local, 1, &remote, 1, 0) != sizeof(code))
		return -1;
	if (code[0] != 0xb8 || memcmp(code + 5, arch_syscall_insn, sizeof(arch_syscall_insn)))
		return -1;
	memcpy(&nr, code + 1, sizeof(nr));
	switch (nr) {
	case __NR_nanosleep:
	case __NR_clock_nanosleep:
	case __NR_futex:
	case __NR_poll:
		return nr;
	}
	return -1;
}

/* A relative sleep goes on with what the kernel left in the remainder, where the caller wanted to know it. */
static void sleep_the_rest(struct arch_regs *regs)
{
	if (regs->r.rax == __NR_nanosleep && regs->r.rsi)
		regs->r.rdi = regs->r.rsi;
	if (regs->r.rax == __NR_clock_nanosleep && regs->r.r10)
		regs->r.rdx = regs->r.r10;
}

void arch_rewind_syscall(pid_t tid, struct arch_regs *regs)
{
	long nr = regs->r.orig_rax;

	if (nr < 0)
		return;
	switch (-(long)regs->r.rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		regs->r.rax = nr;
		break;
	case ERESTART_RESTARTBLOCK:
		if (nr == __NR_restart_syscall)
			nr = restarted_syscall(tid, regs);
		if (nr < 0) {
			pr_warn("task %d: the system call that it was restarting is unknown and "
				"will fail with EINTR",
				tid);
			regs->r.rax = -EINTR;
			return;
		}
		regs->r.rax = regs->r.orig_rax = nr;
		sleep_the_rest(regs);
		break;
	default:
		return;
	}
	regs->r.rip -= sizeof(arch_syscall_insn);
}

bool arch_hide_eintr(struct arch_regs *regs)
{
	long nr = regs->r.orig_rax;

	/* close() has closed, connect() goes on: calling them again is not the same */
	if (nr < 0 || (long)regs->r.rax != -EINTR || nr == __NR_close || nr == __NR_connect)
		return false;
	regs->r.rax = -ERESTARTNOHAND;
	return true;
}

uint64_t arch_core_ip(const CoreEntry *core)
{
	return core->thread_info ? core->thread_info->gpregs->ip : 0;
}

uint64_t arch_core_sp(const CoreEntry *core)
{
	return core->thread_info ? core->thread_info->gpregs->sp : 0;
}

uint64_t arch_core_tls(const CoreEntry *core)
{
	return core->thread_info ? core->thread_info->gpregs->fs_base : 0;
}
