// SPDX-License-Identifier: GPL-2.0-only
/* Stopped tasks: by SIGSTOP, by SIGTSTP; they stay stopped until SIGCONT, and their parent sees both. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int sigs[2] = { SIGSTOP, SIGTSTP }, i, status;
	struct gate g;
	pid_t pid[2];

	test_init(argc, argv);
	for (i = 0; i < 2; i++) {
		gate_init(&g);
		pid[i] = test_fork();
		if (!pid[i]) {
			setpgid(0, 0);
			gate_open(&g);
			test_waitsig();
			_exit(0);
		}
		gate_wait(&g);
		SYS(kill(pid[i], sigs[i]));
		SYS(waitpid(pid[i], &status, WUNTRACED));
		if (!WIFSTOPPED(status))
			die("child did not stop: %#x", status);
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(kill(pid[1], SIGCONT));
	sleep_ms(20);
	for (i = 0; i < 2; i++) {
		char path[64], text[512] = "", *state;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid[i]);
		fd = open(path, O_RDONLY);
		if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
			fail("no stopped child %d", pid[i]);
		close(fd);
		state = strrchr(text, ')');
		CHECK(state && state[2] == 'T', "child %d is in state %c", i,
		      state ? state[2] : '?');
	}
	for (i = 0; i < 2; i++) {
		kill(pid[i], SIGCONT);
		CHECK(waitpid(pid[i], &status, WCONTINUED) == pid[i] && WIFCONTINUED(status),
		      "child %d did not continue: %#x", i, status);
		test_end(pid[i]);
	}
	pass();
}
