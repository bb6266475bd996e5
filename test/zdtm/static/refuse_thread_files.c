// SPDX-License-Identifier: GPL-2.0-only
/* A thread with descriptors of its own (unshare(CLONE_FILES)): dump must name it. */
#include "zdtm.h"

static volatile int ready;

static void *other(void *arg)
{
	SYS(unshare(CLONE_FILES));
	SYS(dup2(2, 50));
	ready = 1;
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pthread_t t;

	test_init(argc, argv);
	test_threads(&t, 1, other);
	AWAIT(ready);
	test_daemon();
	test_waitsig();
	CHECK(fcntl(50, F_GETFD) == -1, "the other's descriptor is here");
	pass();
}
