// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls that are dispatched to the task itself (PR_SET_SYSCALL_USER_DISPATCH), but for those that libc makes: dump must
 * refuse, and leave the task and its handler as they are.
 */
#include "zdtm.h"

#include <link.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON	     1
#endif
#define BLOCK 1 /* SYSCALL_DISPATCH_FILTER_BLOCK */

static volatile char selector;
static volatile int caught;

static void on_sys(int signo)
{
	caught++;
	selector = 0;
}

struct text {
	uint64_t start, len;
};

/* The text that libc's calls come from. */
static int find_libc(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct text *t = arg;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X) &&
		    (uint64_t)syscall - start < p->p_memsz)
			*t = (struct text){ start, p->p_memsz };
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_sys }, now;
	struct text libc = { 0 };
	long ret;

	test_init(argc, argv);
	dl_iterate_phdr(find_libc, &libc);
	SYS(sigaction(SIGSYS, &sa, NULL));
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, libc.start, libc.len,
		  &selector))
		skip("no dispatch of system calls");
	selector = BLOCK;
	test_daemon();
	test_waitsig();
	CHECK(!sigaction(SIGSYS, NULL, &now) && now.sa_handler == on_sys, "the handler is lost");
	asm volatile("syscall" : "=a"(ret) : "a"(SYS_getpid) : "rcx", "r11", "memory");
	CHECK(caught == 1, "%d calls were dispatched", caught);
	pass();
}
