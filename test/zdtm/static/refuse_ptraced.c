// SPDX-License-Identifier: GPL-2.0-only
/* A task that is traced by its parent: dump must say so, and the tracer goes on. */
#include "zdtm.h"

#include <sys/ptrace.h>

int main(int argc, char **argv)
{
	struct gate g;
	pid_t pid;

	test_init(argc, argv);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		_exit(0);
	}
	gate_wait(&g);
	SYS(ptrace(PTRACE_SEIZE, pid, 0, 0));
	test_daemon();
	test_waitsig();
	CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0, "it is not traced any more");
	CHECK(WIFSTOPPED(test_wait(pid)), "it does not stop for its tracer");
	CHECK(!ptrace(PTRACE_DETACH, pid, 0, 0), "detach");
	test_end(pid);
	pass();
}
