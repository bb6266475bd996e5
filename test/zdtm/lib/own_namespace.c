// SPDX-License-Identifier: GPL-2.0-only
#include "stories.h"

void own_namespace_is_refused(int argc, char **argv, unsigned long flag, const char *name)
{
	struct gate g;
	char link[32], before[64] = "", after[64] = "";
	pid_t pid;

	test_init(argc, argv);
	gate_init(&g);
	snprintf(link, sizeof(link), "/proc/self/ns/%s", name);
	pid = SYS(syscall(SYS_clone, flag | SIGCHLD, NULL, NULL, NULL, NULL));
	if (!pid) {
		SYS(readlink(link, before, sizeof(before)));
		gate_open(&g);
		test_waitsig();
		CHECK(readlink(link, after, sizeof(after)) > 0 && !strcmp(before, after),
		      "it is in %s, was in %s", after, before);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	test_end(pid);
	pass();
}
