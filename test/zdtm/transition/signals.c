// SPDX-License-Identifier: GPL-2.0-only
/* Two processes send each other queued signals with numbers: none is lost, doubled or out of order. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	struct timespec second = { 5, 0 };
	siginfo_t info;
	pid_t other, me;
	sigset_t set;
	int n = 0;

	test_init(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	me = getpid();
	other = test_fork();
	if (!other) {
		signal(SIGTERM, SIG_DFL);
		for (;; n++) {
			while (sigwaitinfo(&set, &info) < 0)
				if (errno != EINTR)
					fail("sigwaitinfo");
			if (info.si_value.sival_int != n)
				fail("the child got %d, not %d", info.si_value.sival_int, n);
			SABOTAGE(n++);
			SYS(sigqueue(me, SIGRTMIN, (union sigval){ .sival_int = n * 3 }));
		}
	}
	test_daemon();
	do {
		int got;

		SYS(sigqueue(other, SIGRTMIN, (union sigval){ .sival_int = n }));
		while ((got = sigtimedwait(&set, &info, &second)) < 0 && errno == EINTR)
			;
		CHECK(got == SIGRTMIN, "no answer to %d", n);
		CHECK(info.si_pid == other && info.si_value.sival_int == n * 3,
		      "the answer to %d is %d", n, info.si_value.sival_int);
		n++;
	} while (test_go());
	kill(other, SIGTERM);
	CHECK(WTERMSIG(test_wait(other)) == SIGTERM, "the child has ended by itself");
	pass();
}
