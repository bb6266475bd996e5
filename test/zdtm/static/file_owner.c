// SPDX-License-Identifier: GPL-2.0-only
/* F_SETOWN and F_SETSIG: who is told about a pipe that can be read, and how. */
#include "zdtm.h"

static volatile int told, told_fd;
static void on_signal(int sig, siginfo_t *info, void *context)
{
	told++;
	told_fd = info->si_fd;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct f_owner_ex owner = { F_OWNER_TID, 0 }, now;
	int p[2];

	test_init(argc, argv);
	SYS(sigaction(SIGRTMIN + 3, &sa, NULL));
	SYS(pipe(p));
	owner.pid = gettid();
	SYS(fcntl(p[0], F_SETOWN_EX, &owner));
	SYS(fcntl(p[0], F_SETSIG, SIGRTMIN + 3));
	SYS(fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	test_daemon();
	test_waitsig();
	SABOTAGE(fcntl(p[0], F_SETSIG, 0));
	CHECK(!fcntl(p[0], F_GETOWN_EX, &now) && now.type == F_OWNER_TID && now.pid == gettid(),
	      "the owner is %d %d", now.type, now.pid);
	CHECK(fcntl(p[0], F_GETSIG) == SIGRTMIN + 3, "the signal is %d", fcntl(p[0], F_GETSIG));
	CHECK((fcntl(p[0], F_GETFL) & (O_ASYNC | O_NONBLOCK)) == (O_ASYNC | O_NONBLOCK),
	      "flags are %#x", fcntl(p[0], F_GETFL));
	write_all(p[1], "x", 1);
	CHECK(told == 1 && told_fd == p[0], "told %d times, about %d", told, told_fd);
	pass();
}
