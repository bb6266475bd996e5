// SPDX-License-Identifier: GPL-2.0-only
/* Children end right after the restore with pages missing, one is killed; the root still gets all of its own. */
#include "zdtm.h"

#define NR 8192UL /* pages: 32 MiB, long enough on their way */

int main(int argc, char **argv)
{
	unsigned long i;
	struct gate g;
	pid_t pid[3];
	char *mem;
	int k;

	test_init(argc, argv);
	mem = map_numbered(NR);
	for (k = 0; k < 3; k++) {
		gate_init(&g);
		pid[k] = test_fork();
		if (!pid[k]) {
			for (i = k; i < NR; i += 3)
				mem[i * PAGE] = 'c';
			gate_open(&g);
			test_waitsig();
			_exit(mem[(k + 300) * PAGE] == 'c' ? 10 + k : 1);
		}
		gate_wait(&g);
	}
	test_daemon();
	test_waitsig();
	kill(pid[0], SIGTERM);
	kill(pid[1], SIGKILL);
	kill(pid[2], SIGTERM);
	SABOTAGE(mem[99 * PAGE]++);
	CHECK(WEXITSTATUS(test_wait(pid[0])) == 10, "the first child failed");
	CHECK(WTERMSIG(test_wait(pid[1])) == SIGKILL, "the second child was not killed");
	CHECK(WEXITSTATUS(test_wait(pid[2])) == 12, "the third child failed");
	for (i = 0; i < NR; i++)
		check_page(mem, i);
	pass();
}
