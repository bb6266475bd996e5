// SPDX-License-Identifier: GPL-2.0-only
/* The personality: no address randomisation, read implies exec. */
#include "zdtm.h"

#include <sys/personality.h>

int main(int argc, char **argv)
{
	int now;

	test_init(argc, argv);
	SYS(personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | UNAME26));
	test_daemon();
	test_waitsig();
	SABOTAGE(personality(0));
	now = personality(0xffffffff);
	CHECK(now == (ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | UNAME26), "it is %#x", now);
	pass();
}
