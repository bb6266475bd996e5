// SPDX-License-Identifier: GPL-2.0-only
/* A fast periodic timer descriptor that a thread reads all the time: no tick is missing in the end. */
#include "zdtm.h"

#include <sys/timerfd.h>

int main(int argc, char **argv)
{
	struct itimerspec it = { { 0, 2000000 }, { 0, 2000000 } };
	uint64_t ticks, sum = 0;
	int64_t start, passed;
	int fd;

	test_init(argc, argv);
	fd = SYS(timerfd_create(CLOCK_MONOTONIC, 0));
	start = now_ns(CLOCK_MONOTONIC);
	SYS(timerfd_settime(fd, 0, &it, NULL));
	test_daemon();
	while (test_go()) {
		ssize_t n = read(fd, &ticks, 8);

		if (n == 8)
			sum += ticks;
		else if (errno != EINTR)
			fail("read gave %zd", n);
	}
	SABOTAGE(sum += 1000);
	if (read(fd, &ticks, 8) == 8)
		sum += ticks;
	passed = now_ns(CLOCK_MONOTONIC) - start;
	/* the timer goes on while dump describes it, the clock stands still from the freeze: 200 ms for that */
	CHECK((int64_t)sum <= passed / 2000000 + 100, "%lu ticks in %ld ms", sum, passed / 1000000);
	CHECK((int64_t)sum >= passed / 2000000 - 200, "%lu ticks in %ld ms", sum, passed / 1000000);
	pass();
}
