// SPDX-License-Identifier: GPL-2.0-only
/* Checkpointed in a handler on the alternate stack: it stays in use, and is free again after the handler. */
#include "zdtm.h"

static char stack[64 * 1024];
static stack_t inside;

static void handler(int sig)
{
	test_daemon();
	test_waitsig();
	sigaltstack(NULL, &inside);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) }, after;

	test_init(argc, argv);
	SYS(sigaltstack(&ss, NULL));
	SYS(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	SABOTAGE(inside.ss_flags = 0);
	sigaltstack(NULL, &after);
	CHECK(inside.ss_sp == stack && inside.ss_flags == SS_ONSTACK,
	      "in the handler it is %p, flags %#x", inside.ss_sp, inside.ss_flags);
	CHECK(after.ss_sp == stack && !after.ss_flags, "after the handler it is %p, flags %#x",
	      after.ss_sp, after.ss_flags);
	pass();
}
