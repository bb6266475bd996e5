// SPDX-License-Identifier: GPL-2.0-only
/* Handlers, their masks and flags, ignored and default signals: all 64. */
#include "zdtm.h"

static void handler_a(int sig)
{
}
static void handler_b(int sig, siginfo_t *info, void *context)
{
}
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};
static int get(int sig, struct kernel_sigaction *sa)
{
	return syscall(SYS_rt_sigaction, sig, NULL, sa, 8);
}

int main(int argc, char **argv)
{
	struct kernel_sigaction before[65], now;
	struct sigaction sa;
	int sig;

	test_init(argc, argv);
	for (sig = 1; sig <= 64; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || sig == SIGTERM || sig == 32 || sig == 33)
			continue;
		memset(&sa, 0, sizeof(sa));
		sigfillset(&sa.sa_mask);
		sigdelset(&sa.sa_mask, sig % 7 + 1);
		if (sig % 4 == 0)
			sa.sa_handler = handler_a;
		else if (sig % 4 == 1)
			sa.sa_sigaction = handler_b;
		else
			sa.sa_handler = sig % 4 == 2 ? SIG_IGN : SIG_DFL;
		sa.sa_flags = (sig % 4 == 1 ? SA_SIGINFO : 0) |
			      (sig % 3 ? SA_RESTART : SA_NODEFER) | (sig % 5 ? 0 : SA_RESETHAND) |
			      (sig % 8 ? 0 : SA_ONSTACK);
		SYS(sigaction(sig, &sa, NULL));
	}
	memset(before, 0, sizeof(before));
	for (sig = 1; sig <= 64; sig++)
		SYS(get(sig, &before[sig]));
	test_daemon();
	test_waitsig();
	SABOTAGE(signal(SIGUSR1, SIG_DFL));
	for (sig = 1; sig <= 64; sig++) {
		memset(&now, 0, sizeof(now));
		get(sig, &now);
		CHECK(!memcmp(&now, &before[sig], sizeof(now)),
		      "action of signal %d: handler %p was %p, flags %#lx was %#lx", sig,
		      now.handler, before[sig].handler, now.flags, before[sig].flags);
	}
	pass();
}
