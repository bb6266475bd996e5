// SPDX-License-Identifier: GPL-2.0-only
/* MADV_DONTFORK and MADV_WIPEONFORK areas of a parent with a child: what each has, and a fork after the restore. */
#include "zdtm.h"

static char *dont, *wipe;
static void check_child(const char *who)
{
	unsigned i;

	CHECK(msync(dont, PAGE, MS_ASYNC) && errno == ENOMEM,
	      "%s has the area that is not for forks", who);
	for (i = 0; i < 4 * PAGE; i++)
		CHECK(!wipe[i], "%s: the wiped area is not zero", who);
}

int main(int argc, char **argv)
{
	struct gate g;
	pid_t pid, later;

	test_init(argc, argv);
	dont = map_anon(4 * PAGE, false);
	wipe = map_anon(4 * PAGE, false);
	fill(dont, 4 * PAGE, 1);
	fill(wipe, 4 * PAGE, 2);
	SYS(madvise(dont, 4 * PAGE, MADV_DONTFORK));
	SYS(madvise(wipe, 4 * PAGE, MADV_WIPEONFORK));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		check_child("the child");
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(madvise(wipe, 4 * PAGE, MADV_KEEPONFORK));
	CHECK(differs(dont, 4 * PAGE, 1) < 0 && differs(wipe, 4 * PAGE, 2) < 0,
	      "the parent's memory differs");
	later = test_fork();
	if (!later) {
		check_child("a later child");
		_exit(0);
	}
	CHECK(!test_wait(later), "the later child failed");
	test_end(pid);
	pass();
}
