// SPDX-License-Identifier: GPL-2.0-only
/* Checkpointed two handlers deep, the inner one on the alternate stack: each returns to where it belongs. */
#include "zdtm.h"

static char stack[64 * 1024];
static volatile int depth, returned;

static void inner(int sig)
{
	volatile char local[1000];

	depth = 2;
	fill((void *)local, sizeof(local), 9);
	test_daemon();
	test_waitsig();
	CHECK(differs((void *)local, sizeof(local), 9) < 0, "the inner handler's frame is damaged");
	SABOTAGE(fill((void *)&depth, sizeof(depth), 1));
	returned++;
}

static void outer(int sig, siginfo_t *info, void *context)
{
	volatile char local[1000];

	depth = 1;
	fill((void *)local, sizeof(local), 10);
	raise(SIGUSR2);
	CHECK(differs((void *)local, sizeof(local), 10) < 0,
	      "the outer handler's frame is damaged");
	CHECK(info->si_signo == SIGUSR1 && info->si_value.sival_int == 77,
	      "the outer handler's siginfo is damaged");
	returned++;
}

int main(int argc, char **argv)
{
	struct sigaction a = { .sa_sigaction = outer, .sa_flags = SA_SIGINFO },
			 b = { .sa_handler = inner, .sa_flags = SA_ONSTACK };
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	sigset_t before, after;

	test_init(argc, argv);
	SYS(sigaltstack(&ss, NULL));
	SYS(sigaction(SIGUSR1, &a, NULL));
	SYS(sigaction(SIGUSR2, &b, NULL));
	sigprocmask(SIG_BLOCK, NULL, &before);
	SYS(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 77 }));
	sigprocmask(SIG_BLOCK, NULL, &after);
	CHECK(returned == 2 && depth == 2, "%d handlers returned, depth %d", returned, depth);
	CHECK(!memcmp(&before, &after, 8), "the mask after the handlers is wrong");
	pass();
}
