// SPDX-License-Identifier: GPL-2.0-only
/* Question and answer over socket pairs of all types between processes. */
#include "zdtm.h"

#include <sys/socket.h>

int main(int argc, char **argv)
{
	static const int types[3] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	uint64_t seed = 1, n = 0;
	int s[3][2], i;
	char buf[4096];
	pid_t pids[3];

	test_init(argc, argv);
	for (i = 0; i < 3; i++) {
		SYS(socketpair(AF_UNIX, types[i], 0, s[i]));
		pids[i] = test_fork();
		if (!pids[i]) {
			close(s[i][0]);
			signal(SIGTERM, SIG_DFL);
			for (;;) {
				ssize_t len = recv(s[i][1], buf, sizeof(buf), 0);

				if (len <= 0)
					_exit(1);
				for (ssize_t k = 0; k < len; k++)
					buf[k] ^= 0x55;
				SABOTAGE(buf[0] ^= 1);
				if (send(s[i][1], buf, len, 0) != len)
					_exit(1);
			}
		}
	}
	test_daemon();
	do {
		for (i = 0; i < 3; i++) {
			size_t len = 8 + next_random(&seed) % 4000, got, k;

			fill(buf, len, n);
			CHECK(send(s[i][0], buf, len, 0) == (ssize_t)len, "send %lu over type %d",
			      n, types[i]);
			memset(buf, 0, len);
			for (got = 0; got < len;) {
				ssize_t m = recv(s[i][0], buf + got, len - got, 0);

				if (m < 0 && errno == EINTR)
					continue;
				CHECK(m > 0, "answer %lu over type %d", n, types[i]);
				got += m;
			}
			for (k = 0; k < len; k++)
				buf[k] ^= 0x55;
			CHECK(differs(buf, len, n) < 0, "answer %lu over type %d differs", n,
			      types[i]);
		}
		n++;
	} while (test_go());
	for (i = 0; i < 3; i++) {
		kill(pids[i], SIGTERM);
		CHECK(WTERMSIG(test_wait(pids[i])) == SIGTERM, "child %d has ended by itself", i);
	}
	pass();
}
