// SPDX-License-Identifier: GPL-2.0-only
/* Half of the pages were never there: after the restore they are zero, and both kinds are touched in turn by two tasks. */
#include "zdtm.h"

#define NR 8192UL /* pages: 32 MiB, long enough on their way */

int main(int argc, char **argv)
{
	unsigned long i;
	struct gate g;
	pid_t pid;
	char *mem;

	test_init(argc, argv);
	mem = map_anon(NR * PAGE, false);
	for (i = 0; i < NR; i += 2)
		fill(mem + i * PAGE, PAGE, i);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		for (i = NR; i-- > 0;)
			CHECK(i % 2 ? !mem[i * PAGE] && !mem[i * PAGE + 4095]
				    : differs(mem + i * PAGE, PAGE, i) < 0,
			      "child: page %lu differs", i);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[PAGE] = 1);
	kill(pid, SIGTERM);
	for (i = 0; i < NR; i++)
		CHECK(i % 2 ? !mem[i * PAGE] && !mem[i * PAGE + 4095]
			    : differs(mem + i * PAGE, PAGE, i) < 0,
		      "page %lu differs", i);
	CHECK(!test_wait(pid), "the child failed");
	pass();
}
