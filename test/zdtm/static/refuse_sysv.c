// SPDX-License-Identifier: GPL-2.0-only
/* System V shared memory outside of an IPC namespace of the tree's own. */
#include "zdtm.h"

#include <sys/shm.h>

int main(int argc, char **argv)
{
	char *mem;
	int id;

	test_init(argc, argv);
	id = SYS(shmget(IPC_PRIVATE, 4 * PAGE, 0600));
	mem = shmat(id, NULL, 0);
	SYS(shmctl(id, IPC_RMID, NULL));
	if (mem == (void *)-1)
		die("shmat");
	fill(mem, 4 * PAGE, 1);
	test_daemon();
	test_waitsig();
	CHECK(differs(mem, 4 * PAGE, 1) < 0, "the contents differ");
	pass();
}
