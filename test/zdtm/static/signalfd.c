// SPDX-License-Identifier: GPL-2.0-only
/* signalfd: its mask, and signals that were pending before. */
#include "zdtm.h"

#include <sys/signalfd.h>

int main(int argc, char **argv)
{
	struct signalfd_siginfo info;
	sigset_t set, other;
	int fd, fd2;

	test_init(argc, argv);
	sigemptyset(&set);
	sigemptyset(&other);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 2);
	sigaddset(&other, SIGUSR2);
	fd = SYS(signalfd(-1, &set, SFD_NONBLOCK));
	fd2 = SYS(signalfd(-1, &other, SFD_NONBLOCK | SFD_CLOEXEC));
	sigaddset(&set, SIGUSR2);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	SYS(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){ .sival_int = 31 }));
	SYS(kill(getpid(), SIGUSR2));
	test_daemon();
	test_waitsig();
	SABOTAGE(read_all(fd2, &info, sizeof(info)));
	CHECK(read(fd, &info, sizeof(info)) == sizeof(info) &&
		      (int)info.ssi_signo == SIGRTMIN + 2 && info.ssi_int == 31,
	      "signal %d, value %d", info.ssi_signo, info.ssi_int);
	CHECK(read(fd, &info, sizeof(info)) == -1 && errno == EAGAIN, "it gives signal %d too",
	      info.ssi_signo);
	CHECK(read(fd2, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR2 &&
		      (pid_t)info.ssi_pid == getpid(),
	      "SIGUSR2 is lost");
	kill(getpid(), SIGUSR1);
	CHECK(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR1,
	      "SIGUSR1 is not in the mask");
	CHECK(fcntl(fd2, F_GETFD) == FD_CLOEXEC, "close-on-exec is lost");
	pass();
}
