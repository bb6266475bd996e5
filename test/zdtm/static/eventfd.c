// SPDX-License-Identifier: GPL-2.0-only
/* Event counters: values, semaphores, flags, shared with a child. */
#include "zdtm.h"

#include <sys/eventfd.h>

int main(int argc, char **argv)
{
	int plain, sem, zero, full;
	struct gate g;
	uint64_t v;
	pid_t pid;

	test_init(argc, argv);
	plain = SYS(eventfd(1234567, EFD_CLOEXEC));
	sem = SYS(eventfd(5, EFD_SEMAPHORE));
	zero = SYS(eventfd(0, EFD_NONBLOCK));
	full = SYS(eventfd(0, EFD_NONBLOCK));
	v = 0xfffffffffffffffe;
	write_all(full, &v, 8);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		v = 3;
		write_all(plain, &v, 8);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(read_all(sem, &v, 8));
	test_end(pid);
	CHECK(read(plain, &v, 8) == 8 && v == 1234570, "the counter is %lu", v);
	CHECK(fcntl(plain, F_GETFD) == FD_CLOEXEC, "close-on-exec is lost");
	CHECK(read(sem, &v, 8) == 8 && v == 1, "the semaphore gives %lu", v);
	SYS(fcntl(sem, F_SETFL, O_NONBLOCK));
	CHECK(read(sem, &v, 8) == 8 && read(sem, &v, 8) == 8 && read(sem, &v, 8) == 8 &&
		      read(sem, &v, 8) == 8,
	      "the semaphore was not at 5");
	CHECK(read(sem, &v, 8) == -1 && errno == EAGAIN, "the semaphore is not used up");
	CHECK(read(zero, &v, 8) == -1 && errno == EAGAIN, "the zero counter gives %lu", v);
	v = 1;
	CHECK(write(full, &v, 8) == -1 && errno == EAGAIN, "the full counter takes more");
	pass();
}
