// SPDX-License-Identifier: GPL-2.0-only
/* Every signal blocked, SIGTRAP too, with a handler for it: nothing arrives early, everything afterwards. */
#include "zdtm.h"

static volatile int traps, others;

static void on_trap(int sig)
{
	traps++;
}

static void on_other(int sig)
{
	others++;
}

int main(int argc, char **argv)
{
	sigset_t all, old;
	int c, pipefd[2];

	test_init(argc, argv);
	signal(SIGTRAP, on_trap);
	signal(SIGUSR1, on_other);
	SYS(pipe(pipefd));
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	SYS(sigprocmask(SIG_BLOCK, &all, &old));
	raise(SIGUSR1);
	test_daemon();
	while (!test_stop)
		if (read(pipefd[0], &c, 1) >= 0)
			fail("read");
	CHECK(!traps && !others, "%d SIGTRAP, %d SIGUSR1 came through the mask", traps, others);
	raise(SIGTRAP);
	SABOTAGE(signal(SIGTRAP, SIG_IGN));
	SYS(sigprocmask(SIG_SETMASK, &old, NULL));
	CHECK(traps == 1 && others == 1, "%d SIGTRAP, %d SIGUSR1 arrived", traps, others);
	pass();
}
