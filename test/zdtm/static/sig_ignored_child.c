// SPDX-License-Identifier: GPL-2.0-only
/* SIGCHLD with SA_NOCLDWAIT: children leave no zombies, before and after. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
	pid_t pid;

	test_init(argc, argv);
	SYS(sigaction(SIGCHLD, &sa, NULL));
	pid = test_fork();
	if (!pid) {
		test_waitsig();
		_exit(3);
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(signal(SIGCHLD, SIG_DFL));
	kill(pid, SIGTERM);
	CHECK(waitpid(pid, NULL, 0) == -1, "the child left a zombie");
	pass();
}
