// SPDX-License-Identifier: GPL-2.0-only
/* A child in a uts namespace of its own: dump must not bring it back in criu's. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	struct gate g;
	char before[64] = "", after[64] = "";
	pid_t pid;

	test_init(argc, argv);
	gate_init(&g);
	pid = SYS(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL, NULL));
	if (!pid) {
		SYS(readlink("/proc/self/ns/uts", before, sizeof(before)));
		gate_open(&g);
		test_waitsig();
		CHECK(readlink("/proc/self/ns/uts", after, sizeof(after)) > 0 &&
			      !strcmp(before, after),
		      "it is in %s, was in %s", after, before);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	test_end(pid);
	pass();
}
