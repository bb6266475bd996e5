// SPDX-License-Identifier: GPL-2.0-only
/* A child whose end is told by another signal than SIGCHLD: dump must refuse, since it would become an ordinary child. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	pid_t pid;
	int status;

	test_init(argc, argv);
	pid = SYS(syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0));
	if (!pid) {
		test_waitsig();
		_exit(0);
	}
	test_daemon();
	test_waitsig();
	signal(SIGUSR2, SIG_IGN);
	kill(pid, SIGTERM);
	CHECK(waitpid(pid, &status, __WCLONE) == pid, "it is an ordinary child");
	pass();
}
