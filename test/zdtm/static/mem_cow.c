// SPDX-License-Identifier: GPL-2.0-only
/* Memory shared copy-on-write between a parent and its children stays shared, and stays copy-on-write. */
#include "zdtm.h"

#define NR 512UL

static long shared_kib(const void *addr)
{
	char text[64];
	long a, b;

	if (!smaps_value(addr, "Shared_Dirty", text, sizeof(text)))
		fail("no mapping at %p", addr);
	a = atol(text);
	smaps_value(addr, "Shared_Clean", text, sizeof(text));
	b = atol(text);
	return a + b;
}

int main(int argc, char **argv)
{
	long before, after;
	struct gate g;
	char *mem;
	pid_t pid[2];
	int i;

	test_init(argc, argv);
	mem = map_anon(NR * PAGE, false);
	fill(mem, NR * PAGE, 1);
	for (i = 0; i < 2; i++) {
		gate_init(&g);
		pid[i] = test_fork();
		if (!pid[i]) {
			/* a few pages of its own */
			fill(mem + (100 + i) * PAGE, PAGE, 50 + i);
			gate_open(&g);
			test_waitsig();
			CHECK(differs(mem, 100 * PAGE, 1) < 0, "a shared page of child %d differs",
			      i);
			CHECK(differs(mem + (100 + i) * PAGE, PAGE, 50 + i) < 0,
			      "an own page of child %d differs", i);
			/* what it writes nobody else sees */
			memset(mem, i, 20 * PAGE);
			_exit(0);
		}
		gate_wait(&g);
	}
	before = shared_kib(mem);
	test_daemon();
	test_waitsig();
	SABOTAGE(memset(mem, 7, NR * PAGE));
	after = shared_kib(mem);
	CHECK(differs(mem, NR * PAGE, 1) < 0, "the parent's memory differs at %zd",
	      differs(mem, NR * PAGE, 1));
	test_end(pid[0]);
	test_end(pid[1]);
	CHECK(differs(mem, NR * PAGE, 1) < 0, "a child's writing shows in the parent");
	/* pages that a lazy restore brings one by one are not shared */
	CHECK(after >= before * 9 / 10 || getenv("ZDTM_LAZY"), "%ld KiB were shared, now %ld",
	      before, after);
	pass();
}
