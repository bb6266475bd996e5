// SPDX-License-Identifier: GPL-2.0-only
/* A thread in a network namespace of its own (unshare(CLONE_NEWNET), as container tools do): dump must name it. */
#include "zdtm.h"

static volatile int ready;

static void *other(void *arg)
{
	SYS(unshare(CLONE_NEWNET));
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
	pass();
}
