// SPDX-License-Identifier: GPL-2.0-only
/* A child executes another program right after the restore, the root verifies its pages meanwhile. */
#include "zdtm.h"

#define NR 8192UL /* pages: 32 MiB, long enough on their way */

int main(int argc, char **argv)
{
	unsigned long i;
	struct gate g;
	char *mem, path[256] = "";
	pid_t pid;

	if (argc == 2) { /* the executed program */
		mem = map_anon(64 * PAGE, false);
		for (i = 0; i < 64 * PAGE; i++)
			if (mem[i])
				_exit(1);
		_exit(5);
	}
	test_init(argc, argv);
	SYS(readlink("/proc/self/exe", path, sizeof(path) - 1));
	mem = map_numbered(NR);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		for (i = 0; i < NR; i += 2)
			mem[i * PAGE] = 'c';
		gate_open(&g);
		test_waitsig();
		execl(path, "executed", "again", NULL);
		_exit(1);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	kill(pid, SIGTERM);
	SABOTAGE(mem[99 * PAGE]++);
	CHECK(WEXITSTATUS(test_wait(pid)) == 5, "the executed program failed");
	for (i = 0; i < NR; i++)
		check_page(mem, i);
	pass();
}
