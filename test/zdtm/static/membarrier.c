// SPDX-License-Identifier: GPL-2.0-only
/* Registrations for membarrier(2): without them the expedited commands fail. */
#include "zdtm.h"

enum {
	GLOBAL_EXPEDITED = 1 << 1,
	REGISTER_GLOBAL_EXPEDITED = 1 << 2,
	PRIVATE_EXPEDITED = 1 << 3,
	REGISTER_PRIVATE_EXPEDITED = 1 << 4,
	GET_REGISTRATIONS = 1 << 9,
};

int main(int argc, char **argv)
{
	long before, now;

	test_init(argc, argv);
	SYS(syscall(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0));
	SYS(syscall(SYS_membarrier, REGISTER_GLOBAL_EXPEDITED, 0, 0));
	before = syscall(SYS_membarrier, GET_REGISTRATIONS, 0, 0);
	if (before < 0)
		skip("this kernel does not tell registrations");
	test_daemon();
	test_waitsig();
	SABOTAGE(before = 0);
	now = syscall(SYS_membarrier, GET_REGISTRATIONS, 0, 0);
	CHECK(now == before, "registered for %#lx, was %#lx", now, before);
	CHECK(!syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0), "not registered");
	pass();
}
