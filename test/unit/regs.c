// SPDX-License-Identifier: GPL-2.0-only
/* The registers of a stopped thread: calls are made again or from outside, and a restartable sequence is left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "regs.h"
#include "remote/rseq.h"
#include "test/unit/lib/child.h"

static void interrupt(pid_t pid, struct arch_regs *regs)
{
	int status;

	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(arch_get_regs(pid, regs), 0);
}

/* A child that runs BODY, seized and stopped while it is in it, and its registers. */
static pid_t stopped_in(void (*body)(void), struct arch_regs *regs)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body();
		_exit(1);
	}
	usleep(30000);
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
	interrupt(pid, regs);
	return pid;
}

static void sleep_with_rest(void)
{
	struct timespec t = { 100, 0 };

	syscall(SYS_nanosleep, &t, &t);
}

/* glibc's own call: made by "mov $nr, %eax; syscall" */
static void sleep_libc(void)
{
	struct timespec t = { 100, 0 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t);
}

static void wait_poll(void)
{
	poll(NULL, 0, 100000);
}

static void wait_pause(void)
{
	pause();
}

static void rewinds_pause(void **state)
{
	struct arch_regs regs, orig;
	pid_t pid = stopped_in(wait_pause, &regs);

	orig = regs;
	assert_int_equal((long)regs.r.orig_rax, SYS_pause);
	arch_rewind_syscall(pid, &regs);
	assert_int_equal(regs.r.rax, SYS_pause);
	assert_int_equal(regs.r.orig_rax, SYS_pause);
	assert_int_equal(arch_ip(&regs), arch_ip(&orig) - arch_syscall_insn_len);
	arch_rewind_syscall(pid, &regs); /* nothing more to do */
	assert_int_equal(arch_ip(&regs), arch_ip(&orig) - arch_syscall_insn_len);
	end_child(pid);
}

static void rewinds_sleep(void **state)
{
	struct arch_regs regs;
	pid_t pid = stopped_in(sleep_with_rest, &regs);
	uint64_t ip;

	ip = arch_ip(&regs);
	arch_rewind_syscall(pid, &regs);
	assert_int_equal(regs.r.rax, SYS_nanosleep);
	assert_int_equal(regs.r.rdi, regs.r.rsi);
	assert_int_equal(arch_ip(&regs), ip - 2);
	end_child(pid);
}

/* After the second interruption the thread is in restart_syscall: the call is found in its code. */
static void rewinds_restarted(void (*body)(void), long nr)
{
	struct arch_regs regs;
	pid_t pid = stopped_in(body, &regs);

	assert_int_equal(ptrace(PTRACE_CONT, pid, 0, 0), 0);
	usleep(20000);
	interrupt(pid, &regs);
	assert_int_equal(regs.r.orig_rax, SYS_restart_syscall);
	arch_rewind_syscall(pid, &regs);
	assert_int_equal(regs.r.rax, nr);
	if (nr == SYS_clock_nanosleep)
		assert_int_equal(regs.r.rdx, regs.r.r10);
	end_child(pid);
}

static void rewinds_restarted_sleep(void **state)
{
	rewinds_restarted(sleep_libc, SYS_clock_nanosleep);
}

static void rewinds_restarted_poll(void **state)
{
	rewinds_restarted(wait_poll, SYS_poll);
}

/* A call whose number is not in front of it cannot be made again: EINTR, where it is. */
static void unknown_restart_fails(void **state)
{
	struct arch_regs regs;
	pid_t pid = stopped_in(sleep_with_rest, &regs);
	uint64_t ip;

	regs.r.orig_rax = SYS_restart_syscall;
	ip = arch_ip(&regs);
	arch_rewind_syscall(pid, &regs);
	assert_int_equal((long)regs.r.rax, -EINTR);
	assert_int_equal(arch_ip(&regs), ip);
	end_child(pid);
}

/* A system call made in a stopped child, from outside, and the child goes on as if nothing had been. */
static void runs_a_syscall(void **state)
{
	struct arch_regs saved, regs;
	pid_t pid = stopped_in(wait_pause, &saved);
	uint64_t args[6] = { 0 };
	int status;

	regs = saved;
	arch_setup_syscall(&regs, arch_ip(&saved) - arch_syscall_insn_len, SYS_getpid, args);
	assert_int_equal(arch_set_regs(pid, &regs), 0);
	assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(arch_get_regs(pid, &regs), 0);
	assert_int_equal(arch_syscall_result(&regs), pid);
	assert_int_equal(arch_set_regs(pid, &saved), 0);
	end_child(pid);
}

/* ---- a restartable sequence that waits, inside of it, until it is stopped ---- */

#define RSEQ_SIGNATURE 0x53053053

static struct rseq *own_rseq;
extern const char sequence_start[], sequence_commit[], sequence_abort[];

static __attribute__((noinline)) void stay_in_sequence(void)
{
	struct rseq_cs cs __attribute__((aligned(32))) = {
		.start_ip = (uintptr_t)sequence_start,
		.post_commit_offset = sequence_commit - sequence_start,
		.abort_ip = (uintptr_t)sequence_abort,
	};

	/* preempted, it begins anew; the signature is in front of the abort handler */
	asm volatile("	jmp sequence_abort\n"
		     "	.long 0x53053053\n"
		     ".globl sequence_abort\nsequence_abort:\n"
		     "	mov %0, %1\n"
		     ".globl sequence_start\nsequence_start:\n"
		     "1:	pause\n	jmp 1b\n"
		     ".globl sequence_commit\nsequence_commit:\n"
		     :
		     : "r"(&cs), "m"(own_rseq->rseq_cs)
		     : "memory");
}

static void register_and_stay(void)
{
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
			RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
	if (!syscall(SYS_rseq, own_rseq, 32, 0, RSEQ_SIGNATURE))
		stay_in_sequence();
}

static void leaves_a_restartable_sequence(void **state)
{
	struct arch_regs regs, before;
	pid_t pid;

	own_rseq = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid = stopped_in(register_and_stay, &regs);
	assert_in_range(arch_ip(&regs), (uintptr_t)sequence_start, (uintptr_t)sequence_commit - 1);
	before = regs;
	assert_int_equal(rseq_abort(pid, &regs), 0);
	assert_int_equal(arch_ip(&regs), (uintptr_t)sequence_abort);
	/* outside of it nothing happens */
	arch_set_ip(&before, (uintptr_t)sequence_commit);
	assert_int_equal(rseq_abort(pid, &before), 0);
	assert_int_equal(arch_ip(&before), (uintptr_t)sequence_commit);
	end_child(pid);
	munmap(own_rseq, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rewinds_pause),
		cmocka_unit_test(rewinds_sleep),
		cmocka_unit_test(rewinds_restarted_sleep),
		cmocka_unit_test(rewinds_restarted_poll),
		cmocka_unit_test(unknown_restart_fails),
		cmocka_unit_test(runs_a_syscall),
		cmocka_unit_test(leaves_a_restartable_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
