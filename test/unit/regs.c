// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "regs.h"

/* A child that runs BODY, seized and interrupted while it sleeps in it. */
static pid_t interrupted(void (*body)(void))
{
	pid_t pid = fork();

	if (!pid) {
		body();
		_exit(1);
	}
	usleep(20000);
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
	return pid;
}

static void interrupt(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
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
	pid_t pid = interrupted(wait_pause);

	interrupt(pid);
	assert_int_equal(arch_get_regs(pid, &regs), 0);
	orig = regs;
	assert_int_equal((long)regs.r.orig_rax, SYS_pause);
	arch_rewind_syscall(pid, &regs);
	assert_int_equal(regs.r.rax, SYS_pause);
	assert_int_equal(regs.r.orig_rax, SYS_pause);
	assert_int_equal(arch_ip(&regs), arch_ip(&orig) - arch_syscall_insn_len);
	arch_rewind_syscall(pid, &regs); /* nothing more to do */
	assert_int_equal(arch_ip(&regs), arch_ip(&orig) - arch_syscall_insn_len);
	end(pid);
}

static void rewinds_sleep(void **state)
{
	struct arch_regs regs;
	pid_t pid = interrupted(sleep_with_rest);
	uint64_t ip;

	interrupt(pid);
	assert_int_equal(arch_get_regs(pid, &regs), 0);
	ip = arch_ip(&regs);
	arch_rewind_syscall(pid, &regs);
	assert_int_equal(regs.r.rax, SYS_nanosleep);
	assert_int_equal(regs.r.rdi, regs.r.rsi);
	assert_int_equal(arch_ip(&regs), ip - 2);
	end(pid);
}

/* After the second interruption the thread is in restart_syscall: the call is found in its code. */
static void rewinds_restarted(void (*body)(void), long nr)
{
	struct arch_regs regs;
	pid_t pid = interrupted(body);

	interrupt(pid);
	assert_int_equal(ptrace(PTRACE_CONT, pid, 0, 0), 0);
	usleep(20000);
	interrupt(pid);
	assert_int_equal(arch_get_regs(pid, &regs), 0);
	assert_int_equal(regs.r.orig_rax, SYS_restart_syscall);
	arch_rewind_syscall(pid, &regs);
	assert_int_equal(regs.r.rax, nr);
	if (nr == SYS_clock_nanosleep)
		assert_int_equal(regs.r.rdx, regs.r.r10);
	end(pid);
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
	pid_t pid = interrupted(sleep_with_rest);
	uint64_t ip;

	interrupt(pid);
	assert_int_equal(arch_get_regs(pid, &regs), 0);
	regs.r.orig_rax = SYS_restart_syscall;
	ip = arch_ip(&regs);
	arch_rewind_syscall(pid, &regs);
	assert_int_equal((long)regs.r.rax, -EINTR);
	assert_int_equal(arch_ip(&regs), ip);
	end(pid);
}

/* A system call made in a stopped child, from outside, and the child goes on as if nothing had been. */
static void runs_a_syscall(void **state)
{
	struct arch_regs saved, regs;
	pid_t pid = interrupted(wait_pause);
	uint64_t args[6] = { 0 };
	int status;

	interrupt(pid);
	assert_int_equal(arch_get_regs(pid, &saved), 0);
	regs = saved;
	arch_setup_syscall(&regs, arch_ip(&saved) - arch_syscall_insn_len, SYS_getpid, args);
	assert_int_equal(arch_set_regs(pid, &regs), 0);
	assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(arch_get_regs(pid, &regs), 0);
	assert_int_equal(arch_syscall_result(&regs), pid);
	assert_int_equal(arch_set_regs(pid, &saved), 0);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rewinds_pause),	   cmocka_unit_test(rewinds_sleep),
		cmocka_unit_test(rewinds_restarted_sleep), cmocka_unit_test(rewinds_restarted_poll),
		cmocka_unit_test(unknown_restart_fails),   cmocka_unit_test(runs_a_syscall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
