// SPDX-License-Identifier: GPL-2.0-only
/* Zombies with several exit codes and killing signals are there to be waited for. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	static const int codes[] = { 0, 1, 77, 255, -SIGKILL, -SIGTERM, -SIGABRT, -SIGUSR1 };
	pid_t pids[ARRAY_LEN(codes)];
	siginfo_t info;
	unsigned i;
	int status;

	test_init(argc, argv);
	for (i = 0; i < ARRAY_LEN(codes); i++) {
		pids[i] = test_fork();
		if (!pids[i]) {
			signal(SIGTERM, SIG_DFL);
			if (codes[i] >= 0)
				_exit(codes[i]);
			kill(getpid(), -codes[i]);
			_exit(99);
		}
		SYS(waitid(P_PID, pids[i], &info, WEXITED | WNOWAIT));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(waitpid(pids[3], NULL, 0));
	for (i = 0; i < ARRAY_LEN(codes); i++) {
		status = test_wait(pids[i]);
		if (codes[i] >= 0)
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == codes[i],
			      "zombie %u: status %#x, not exit %d", i, status, codes[i]);
		else
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == -codes[i],
			      "zombie %u: status %#x, not signal %d", i, status, -codes[i]);
	}
	pass();
}
