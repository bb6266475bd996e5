// SPDX-License-Identifier: GPL-2.0-only
/* The signal mask, real-time signals among it. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	sigset_t set, now;
	int sig;

	test_init(argc, argv);
	sigemptyset(&set);
	for (sig = 1; sig <= 64; sig += 3)
		if (sig != SIGTERM && sig != 32 && sig != 33)
			sigaddset(&set, sig);
	SYS(sigprocmask(SIG_SETMASK, &set, NULL));
	test_daemon();
	test_waitsig();
	SABOTAGE(sigdelset(&set, 37));
	sigprocmask(SIG_SETMASK, NULL, &now);
	for (sig = 1; sig <= 64; sig++) {
		int want = sigismember(&set, sig), is = sigismember(&now, sig);
		/* SIGKILL and SIGSTOP cannot be blocked */
		if (sig == SIGKILL || sig == SIGSTOP)
			want = 0;
		CHECK(is == want, "signal %d is %s", sig, is > 0 ? "blocked" : "not blocked");
	}
	pass();
}
