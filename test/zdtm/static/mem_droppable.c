// SPDX-License-Identifier: GPL-2.0-only
/* Memory that the kernel may drop (MAP_DROPPABLE, Linux 6.11): it is still of that kind. What was in it is there whole, or zeros are. */
#include "zdtm.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

int main(int argc, char **argv)
{
	char *m, flags[256];
	pid_t pid;

	test_init(argc, argv);
	m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		skip("no droppable memory");
	for (unsigned i = 0; i < 4; i++)
		fill(m + i * PAGE, PAGE, i);
	test_daemon();
	test_waitsig();
	SABOTAGE(mmap(m, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		      -1, 0));
	CHECK(smaps_value(m, "VmFlags", flags, sizeof(flags)) && strstr(flags, " dp"),
	      "it is of another kind: %s", flags);
	for (unsigned i = 0; i < 4; i++)
		CHECK(is_zero(m + i * PAGE, PAGE) || differs(m + i * PAGE, PAGE, i) < 0,
		      "page %u has something else", i);
	fill(m, 4 * PAGE, 2);
	pid = test_fork();
	if (!pid) {
		for (unsigned i = 0; i < 4; i++)
			CHECK(is_zero(m + i * PAGE, PAGE), "a child has page %u", i);
		_exit(0);
	}
	CHECK(!test_wait(pid), "the child failed");
	CHECK(differs(m, 4 * PAGE, 2) < 0, "what is written is not there");
	pass();
}
