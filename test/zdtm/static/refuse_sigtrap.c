// SPDX-License-Identifier: GPL-2.0-only
/* A pending SIGTRAP, which criu could not tell from its own: refused, and still pending afterwards. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	sigset_t set;

	test_init(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGTRAP);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	raise(SIGTRAP);
	test_daemon();
	test_waitsig();
	sigpending(&set);
	CHECK(sigismember(&set, SIGTRAP) == 1, "the signal is lost");
	pass();
}
