// SPDX-License-Identifier: GPL-2.0-only
/* A child executes this program again and again, each time with the next number. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char number[16], path[256] = "";
	int n = 0, status;
	pid_t pid;

	if (argc == 3) /* the executed one */
		_exit(atoi(argv[1]) % 100 == atoi(argv[2]) ? 7 : 8);
	test_init(argc, argv);
	SYS(readlink("/proc/self/exe", path, sizeof(path) - 1));
	test_daemon();
	do {
		char rest[16];

		snprintf(number, sizeof(number), "%d", n);
		snprintf(rest, sizeof(rest), "%d", n % 100);
		SABOTAGE(rest[0] ^= 1);
		pid = SYS(fork());
		if (!pid) {
			execl(path, "exec_loop", number, rest, NULL);
			_exit(9);
		}
		status = test_wait(pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "execution %d: status %#x", n,
		      status);
		n++;
	} while (test_go());
	pass();
}
