// SPDX-License-Identifier: GPL-2.0-only
/* Secure bits, some of them locked. */
#include "zdtm.h"

#include <linux/securebits.h>

int main(int argc, char **argv)
{
	int want = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS,
	    now;

	test_init(argc, argv);
	SYS(prctl(PR_SET_SECUREBITS, want, 0, 0, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(prctl(PR_SET_SECUREBITS, want & ~SECBIT_KEEP_CAPS, 0, 0, 0));
	now = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	CHECK(now == want, "secure bits are %#x, were %#x", now, want);
	pass();
}
