// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors of processes: of itself, of a child, and of one that is gone. */
#include "zdtm.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	int self, of_child, dead;
	struct pollfd p = { .events = POLLIN };
	pid_t pid, gone;

	test_init(argc, argv);
	self = SYS(syscall(SYS_pidfd_open, getpid(), 0));
	gone = SYS(fork());
	if (!gone)
		_exit(0);
	dead = SYS(syscall(SYS_pidfd_open, gone, 0));
	SYS(waitpid(gone, NULL, 0));
	pid = test_fork();
	if (!pid) {
		test_waitsig();
		_exit(7);
	}
	of_child = SYS(syscall(SYS_pidfd_open, pid, 0));
	SYS(fcntl(of_child, F_SETFL, O_NONBLOCK));
	test_daemon();
	test_waitsig();
	SABOTAGE(dup2(self, of_child));
	CHECK(fcntl(of_child, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
	p.fd = of_child;
	CHECK(!poll(&p, 1, 0), "the child seems to have ended");
	CHECK(!syscall(SYS_pidfd_send_signal, self, 0, NULL, 0), "no signal to itself");
	CHECK(syscall(SYS_pidfd_send_signal, dead, 0, NULL, 0) == -1 && errno == ESRCH,
	      "the dead one takes signals");
	CHECK(!syscall(SYS_pidfd_send_signal, of_child, SIGTERM, NULL, 0),
	      "no signal to the child");
	CHECK(poll(&p, 1, 5000) == 1, "its end is not seen");
	CHECK(test_wait(pid) == 7 << 8, "another exit status");
	pass();
}
