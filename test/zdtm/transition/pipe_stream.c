// SPDX-License-Identifier: GPL-2.0-only
/* A stream of numbers through a chain of processes, in writes of all sizes: nothing lost, doubled or changed. */
#include "zdtm.h"

#define STAGES 4

static void relay(int in, int out, uint64_t seed)
{
	char buf[70000];
	ssize_t n;

	while ((n = read(in, buf, 1 + next_random(&seed) % sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fail("relay: read");
		write_all(out, buf, n);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	uint64_t seed = 5, want_seed = 7, word, send_seed = 7, got = 0;
	int in[2], p[2], i;
	static uint64_t chunk[2000];
	pid_t pids[STAGES], writer;

	test_init(argc, argv);
	SYS(pipe(in));
	writer = test_fork();
	if (!writer) {
		close(in[0]);
		do {
			size_t len = 1 + next_random(&seed) % 2000;

			for (i = 0; i < (int)len; i++)
				chunk[i] = next_random(&send_seed);
			SABOTAGE(chunk[0]++);
			write_all(in[1], chunk, len * 8);
		} while (test_go());
		_exit(0);
	}
	close(in[1]);
	for (i = 0; i < STAGES; i++) {
		SYS(pipe(p));
		pids[i] = test_fork();
		if (!pids[i]) {
			signal(SIGTERM, SIG_IGN);
			close(p[0]);
			relay(in[0], p[1], i);
		}
		close(in[0]);
		close(p[1]);
		in[0] = p[0];
	}
	test_daemon();
	for (;;) {
		ssize_t n = 0, m;

		if (test_stop == 1) {
			kill(writer, SIGTERM);
			test_stop = 2;
		}
		while (n < 8 && (m = read(in[0], (char *)&word + n, 8 - n)) != 0) {
			if (m < 0 && errno == EINTR && !n)
				break;
			if (m < 0 && errno != EINTR)
				fail("read");
			n += m > 0 ? m : 0;
		}
		if (n == 0 && test_stop == 1)
			continue;
		if (n == 0)
			break;
		CHECK(n == 8, "the stream ends inside a word");
		CHECK(word == next_random(&want_seed), "word %lu differs", got);
		got++;
	}
	CHECK(!test_wait(writer), "the writer failed");
	for (i = 0; i < STAGES; i++)
		CHECK(!test_wait(pids[i]), "stage %d failed", i);
	CHECK(got > 0, "no words");
	pass();
}
