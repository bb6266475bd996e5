// SPDX-License-Identifier: GPL-2.0-only
/* Strict mode: a child that may only read, write and exit still answers, and is killed when it does anything else. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int to[2], from[2], status;
	char c;
	pid_t pid;

	test_init(argc, argv);
	SYS(pipe(to));
	SYS(pipe(from));
	pid = test_fork();
	if (!pid) {
		SYS(prctl(PR_SET_SECCOMP, 1, 0, 0, 0));
		while (read(to[0], &c, 1) == 1 && c != 'x') {
			c++;
			if (write(from[1], &c, 1) != 1)
				break;
		}
		syscall(SYS_getpid);
		syscall(SYS_exit, 0);
	}
	write_all(to[1], "a", 1);
	read_all(from[0], &c, 1);
	test_daemon();
	test_waitsig();
	write_all(to[1], "m", 1);
	read_all(from[0], &c, 1);
	CHECK(c == 'n', "the child answers %c", c);
	SABOTAGE(kill(pid, SIGUSR1); usleep(100000));
	write_all(to[1], "x", 1);
	SYS(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	      "the child was not killed: status %#x", status);
	pass();
}
