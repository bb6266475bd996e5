// SPDX-License-Identifier: GPL-2.0-only
/* Resource limits. */
#include "zdtm.h"

#include <sys/resource.h>

int main(int argc, char **argv)
{
	struct rlimit want[RLIM_NLIMITS], now;
	int i;

	test_init(argc, argv);
	for (i = 0; i < RLIM_NLIMITS; i++) {
		SYS(getrlimit(i, &want[i]));
		if (i == RLIMIT_NOFILE || i == RLIMIT_STACK || i == RLIMIT_CORE ||
		    i == RLIMIT_MSGQUEUE || i == RLIMIT_FSIZE) {
			want[i].rlim_max = want[i].rlim_max > 1 << 20 ? 1 << 20 : want[i].rlim_max;
			want[i].rlim_cur = want[i].rlim_max / 3;
			SYS(setrlimit(i, &want[i]));
		}
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(want[RLIMIT_NOFILE].rlim_cur++);
	for (i = 0; i < RLIM_NLIMITS; i++) {
		CHECK(!getrlimit(i, &now), "getrlimit(%d)", i);
		CHECK(now.rlim_cur == want[i].rlim_cur && now.rlim_max == want[i].rlim_max,
		      "limit %d is %ld, %ld, was %ld, %ld", i, now.rlim_cur, now.rlim_max,
		      want[i].rlim_cur, want[i].rlim_max);
	}
	pass();
}
