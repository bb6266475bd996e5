// SPDX-License-Identifier: GPL-2.0-only
/* Tasks that share their descriptor table, directory and signal handlers (clone without fork's copies). */
#include "zdtm.h"

static char stack[64 * 1024];
static volatile int child_ready;

static int child(void *arg)
{
	child_ready = 1;
	test_waitsig();
	return 0;
}

int main(int argc, char **argv)
{
	pid_t pid;
	int fd;

	test_init(argc, argv);
	pid = SYS(clone(child, stack + sizeof(stack),
			CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | SIGCHLD, NULL));
	AWAIT(child_ready);
	test_daemon();
	test_waitsig();
	fd = open("/dev/null", O_RDONLY);
	kill(pid, SIGTERM);
	CHECK(fd >= 0, "open");
	CHECK(test_wait(pid) == 0, "the child died");
	pass();
}
