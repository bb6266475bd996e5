// SPDX-License-Identifier: GPL-2.0-only
/* Two processes append records to one description, a third reads them behind: every record once, in order for each writer. */
#include "zdtm.h"

struct record {
	uint32_t writer, number;
	uint64_t check;
};

int main(int argc, char **argv)
{
	uint32_t next[2] = { 0 };
	struct record r;
	pid_t pids[2];
	uint64_t n = 0;
	int fd, in, i;

	test_init(argc, argv);
	fd = SYS(open("records", O_CREAT | O_RDWR | O_APPEND, 0644));
	in = SYS(open("records", O_RDONLY));
	for (i = 0; i < 2; i++) {
		pids[i] = test_fork();
		if (!pids[i]) {
			r.writer = i;
			for (r.number = 0; test_go() && r.number < 2000000; r.number++) {
				uint64_t state = r.number * 2 + i;

				r.check = next_random(&state);
				write_all(fd, &r, sizeof(r));
			}
			_exit(0);
		}
	}
	test_daemon();
	for (;;) {
		ssize_t len = read(in, &r, sizeof(r));
		uint64_t state;

		if (len < 0 && errno == EINTR)
			continue;
		if (len == 0) {
			if (test_stop == 2)
				break;
			if (test_stop == 1) {
				for (i = 0; i < 2; i++)
					test_end(pids[i]);
				test_stop = 2;
			}
			sched_yield();
			continue;
		}
		CHECK(len == sizeof(r), "record %lu has %zd bytes", n, len);
		SABOTAGE(r.check++);
		state = r.number * 2 + r.writer;
		CHECK(r.writer < 2 && r.number == next[r.writer],
		      "record %lu: writer %u, number %u", n, r.writer, r.number);
		CHECK(r.check == next_random(&state), "record %lu is damaged", n);
		next[r.writer]++;
		n++;
	}
	CHECK(next[0] && next[1], "%u and %u records", next[0], next[1]);
	pass();
}
