// SPDX-License-Identifier: GPL-2.0-only
/* Children wait in sigsuspend() and ppoll() with a mask for its time only; afterwards they have the old one again. */
#include "zdtm.h"

#include <poll.h>

static volatile int usr1;
static void on_usr1(int sig)
{
	usr1++;
}

static int child(bool by_poll, struct gate *g)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	sigset_t all, none, now;
	int ret;

	SYS(sigaction(SIGUSR1, &sa, NULL));
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	SYS(sigprocmask(SIG_SETMASK, &all, NULL));
	sigfillset(&none);
	sigdelset(&none, SIGUSR1);
	gate_open(g);
	errno = 0;
	ret = by_poll ? ppoll(NULL, 0, NULL, &none) : sigsuspend(&none);
	if (ret != -1 || errno != EINTR || usr1 != 1)
		fail("%s gave %d after %d signals", by_poll ? "ppoll" : "sigsuspend", ret, usr1);
	sigprocmask(SIG_BLOCK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2) &&
		      !sigismember(&now, SIGTERM),
	      "the mask after %s is wrong", by_poll ? "ppoll" : "sigsuspend");
	kill(getpid(), SIGUSR1);
	CHECK(usr1 == 1, "SIGUSR1 is not blocked any more");
	return 0;
}

int main(int argc, char **argv)
{
	struct gate g;
	pid_t pid[2];
	int i, status;

	test_init(argc, argv);
	for (i = 0; i < 2; i++) {
		gate_init(&g);
		pid[i] = test_fork();
		if (!pid[i])
			_exit(child(i, &g));
		gate_wait(&g);
	}
	sleep_ms(10);
	test_daemon();
	test_waitsig();
	for (i = 0; i < 2; i++) {
		SABOTAGE(kill(pid[i], SIGKILL));
		kill(pid[i], SIGUSR1);
		status = test_wait(pid[i]);
		CHECK(!status, "child %d ended with %#x", i, status);
	}
	pass();
}
