// SPDX-License-Identifier: GPL-2.0-only
/* A task that may not make memory executable (PR_SET_MDWE): images could not say so, and dump must name it. */
#include "zdtm.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (prctl(PR_SET_MDWE, 1, 0, 0, 0))
		skip("no PR_SET_MDWE");
	test_daemon();
	test_waitsig();
	CHECK(prctl(PR_GET_MDWE, 0, 0, 0, 0) == 1, "it is off");
	pass();
}
