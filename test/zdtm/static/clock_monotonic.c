// SPDX-License-Identifier: GPL-2.0-only
/* CLOCK_MONOTONIC and CLOCK_BOOTTIME go on: never back, and not further than real time has passed. By system call and by vDSO. */
#include "zdtm.h"

static int64_t by_syscall(clockid_t clock)
{
	struct timespec ts;

	SYS(syscall(SYS_clock_gettime, clock, &ts));
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	clockid_t clocks[4] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW,
				CLOCK_MONOTONIC_COARSE };
	int64_t before[4], real, passed, a, b;
	int i;

	test_init(argc, argv);
	real = now_ns(CLOCK_REALTIME);
	for (i = 0; i < 4; i++)
		before[i] = now_ns(clocks[i]);
	test_daemon();
	test_waitsig();
	SABOTAGE(before[1] += 3600 * NSEC);
	for (i = 0; i < 4; i++) {
		a = now_ns(clocks[i]) - before[i];
		b = by_syscall(clocks[i]) - before[i];
		passed = now_ns(CLOCK_REALTIME) - real;
		CHECK(a >= 0 && b >= 0, "clock %d went back by %ld ns (vdso), %ld ns (system call)",
		      clocks[i], -a, -b);
		CHECK(a <= passed + 50000000 && b <= passed + 50000000,
		      "clock %d is ahead: %ld ns (vdso), %ld ns (system call) in %ld ns", clocks[i],
		      a, b, passed);
		CHECK(b - a < NSEC && a - b < NSEC,
		      "clock %d: vdso and system call differ by %ld ns", clocks[i], b - a);
	}
	pass();
}
