// SPDX-License-Identifier: GPL-2.0-only
/* Capability sets of an unprivileged uid, all different, ambient and bounding among them. */
#include "zdtm.h"

#include <linux/capability.h>

static struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };

int main(int argc, char **argv)
{
	struct __user_cap_data_struct want[2] = { 0 }, now[2];
	unsigned long kept = 1ul << CAP_CHOWN | 1ul << CAP_KILL | 1ul << CAP_NET_RAW |
			     1ul << CAP_SYS_NICE;
	int cap, i;

	test_init(argc, argv);
	SYS(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (cap == CAP_SYS_TIME || cap == CAP_MKNOD || cap == CAP_SYSLOG)
			SYS(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0));
	SYS(setresgid(18943, 18943, 18943));
	SYS(setresuid(18943, 18943, 18943));
	want[0].permitted = kept;
	want[0].effective = 1u << CAP_CHOWN | 1u << CAP_KILL;
	want[0].inheritable = 1u << CAP_NET_RAW | 1u << CAP_CHOWN;
	SYS(syscall(SYS_capset, &header, want));
	SYS(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
	test_daemon();
	test_waitsig();
	SABOTAGE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	CHECK(!syscall(SYS_capget, &header, now), "capget");
	for (i = 0; i < 2; i++)
		CHECK(now[i].permitted == want[i].permitted &&
			      now[i].effective == want[i].effective &&
			      now[i].inheritable == want[i].inheritable,
		      "capabilities %d: permitted %#x effective %#x inheritable %#x", i,
		      now[i].permitted, now[i].effective, now[i].inheritable);
	for (cap = 0; cap <= CAP_LAST_CAP; cap++) {
		bool dropped = cap == CAP_SYS_TIME || cap == CAP_MKNOD || cap == CAP_SYSLOG;

		/* whatever this machine never had is not there either */
		CHECK(!(dropped && prctl(PR_CAPBSET_READ, cap, 0, 0, 0)),
		      "capability %d is in the bounding set again", cap);
		CHECK(dropped || cap == CAP_SYS_RESOURCE || prctl(PR_CAPBSET_READ, cap, 0, 0, 0),
		      "capability %d is not in the bounding set", cap);
		CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) ==
			      (cap == CAP_NET_RAW),
		      "ambient capability %d is wrong", cap);
	}
	pass();
}
