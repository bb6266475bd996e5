// SPDX-License-Identifier: GPL-2.0-only
/* Queued real-time signals: all of them, in order, with their values. */
#include "zdtm.h"

#define NR 50

int main(int argc, char **argv)
{
	struct timespec zero = { 0, 0 };
	siginfo_t info;
	sigset_t set;
	int i, k, sig;

	test_init(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 5);
	sigaddset(&set, SIGRTMAX);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	for (i = 0; i < NR; i++) {
		SYS(sigqueue(getpid(), SIGRTMAX, (union sigval){ .sival_int = i }));
		SYS(sigqueue(getpid(), SIGRTMIN,
			     (union sigval){ .sival_ptr = (void *)(0x123456789abcul + i) }));
	}
	/* a thread's own queue, and a code that user programs may choose */
	for (i = 0; i < NR; i++) {
		memset(&info, 0, sizeof(info));
		info.si_code = -60;
		info.si_pid = 1234;
		info.si_uid = 5;
		info.si_value.sival_int = i * 3;
		SYS(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN + 5, &info));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(sigwaitinfo(&set, &info));
	for (k = 0; k < 3; k++) {
		sig = k == 0 ? SIGRTMIN : k == 1 ? SIGRTMIN + 5 : SIGRTMAX;
		for (i = 0; i < NR; i++) {
			int got;

			sigemptyset(&set);
			sigaddset(&set, sig);
			got = sigtimedwait(&set, &info, &zero);
			CHECK(got == sig, "only %d of %d signals %d", i, NR, sig);
			if (sig == SIGRTMIN)
				CHECK(info.si_value.sival_ptr == (void *)(0x123456789abcul + i) &&
					      info.si_code == SI_QUEUE,
				      "value %d of signal %d is %p", i, sig,
				      info.si_value.sival_ptr);
			else
				CHECK(info.si_value.sival_int == (sig == SIGRTMAX ? i : i * 3),
				      "value %d of signal %d is %d", i, sig,
				      info.si_value.sival_int);
			if (sig == SIGRTMIN + 5)
				CHECK(info.si_code == -60 && info.si_pid == 1234 &&
					      info.si_uid == 5,
				      "siginfo of signal %d: code %d, pid %d", sig, info.si_code,
				      info.si_pid);
		}
		CHECK(sigtimedwait(&set, &info, &zero) != sig, "too many signals %d", sig);
	}
	pass();
}
