// SPDX-License-Identifier: GPL-2.0-only
/* Threads with credentials of their own: uids, groups and capabilities are per thread for the kernel. */
#include "zdtm.h"

#include <linux/capability.h>
#include <pthread.h>

static volatile int ready;
static volatile uid_t uid_seen;
static volatile gid_t gid_seen;
static volatile int groups_seen, caps_seen, nnp_seen;

static void *thread(void *arg)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2] = { 0 };
	gid_t groups[3] = { 7, 8, 9 };

	SYS(syscall(SYS_setgroups, 3, groups));
	SYS(syscall(SYS_setresgid, 300, 301, 302));
	SYS(syscall(SYS_setresuid, 400, 401, 402));
	caps[0].permitted = 0;
	SYS(syscall(SYS_capset, &header, caps));
	SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ready = 1;
	while (test_go())
		syscall(SYS_futex, &test_stop, 0, 0, NULL, NULL, 0);
	uid_seen = syscall(SYS_geteuid);
	gid_seen = syscall(SYS_getegid);
	groups_seen = syscall(SYS_getgroups, 0, NULL);
	syscall(SYS_capget, &header, caps);
	caps_seen = caps[0].permitted;
	nnp_seen = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t;

	test_init(argc, argv);
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	AWAIT(ready);
	test_daemon();
	test_waitsig();
	syscall(SYS_futex, &test_stop, 1, 10, NULL, NULL, 0);
	pthread_join(t, NULL);
	SABOTAGE(uid_seen = 0);
	CHECK(uid_seen == 401 && gid_seen == 301 && groups_seen == 3,
	      "the thread has uid %u, gid %u, %d groups", uid_seen, gid_seen, groups_seen);
	CHECK(!caps_seen, "the thread has capabilities %#x", caps_seen);
	CHECK(nnp_seen == 1, "the thread has lost no_new_privs");
	CHECK(!syscall(SYS_geteuid) && !syscall(SYS_getegid), "the leader has uid %ld",
	      syscall(SYS_geteuid));
	pass();
}
