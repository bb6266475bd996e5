// SPDX-License-Identifier: GPL-2.0-only
/* Chains of seccomp filters: two of the leader's, a third of a thread's, one more in a child that inherits two. */
#include "zdtm.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>

/* System call NR fails with ERR from now on in this thread. */
static void forbid(int nr, int err, unsigned flags)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_LEN(insns), insns };

	SYS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog));
}

/* The errno of a call without arguments. */
static int error_of(int nr)
{
	errno = 0;
	return syscall(nr, 0, 0, 0) < 0 ? errno : 0;
}

static volatile int ready, thread_alarm, thread_sysinfo;

static void *thread(void *arg)
{
	forbid(SYS_sysinfo, 77, 0);
	ready = 1;
	while (test_go())
		syscall(SYS_futex, &test_stop, 0, 0, NULL, NULL, 0);
	thread_alarm = error_of(SYS_getitimer);
	thread_sysinfo = error_of(SYS_sysinfo);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t;
	pid_t pid;

	test_init(argc, argv);
	SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	/* what criu itself would call in a task */
	forbid(SYS_getitimer, 66, SECCOMP_FILTER_FLAG_LOG);
	forbid(SYS_munmap, 67, 0);
	pid = test_fork();
	if (!pid) {
		forbid(SYS_sysinfo, 78, 0);
		test_waitsig();
		CHECK(error_of(SYS_getitimer) == 66 && error_of(SYS_munmap) == 67 &&
			      error_of(SYS_sysinfo) == 78,
		      "filters of the child: %d %d %d", error_of(SYS_getitimer),
		      error_of(SYS_munmap), error_of(SYS_sysinfo));
		_exit(0);
	}
	if (pthread_create(&t, NULL, thread, NULL))
		die("pthread_create");
	AWAIT(ready);
	test_daemon();
	test_waitsig();
	syscall(SYS_futex, &test_stop, 1, 10, NULL, NULL, 0);
	AWAIT(thread_sysinfo);
	SABOTAGE(thread_alarm = 0);
	CHECK(thread_alarm == 66 && thread_sysinfo == 77, "filters of the thread: %d %d",
	      thread_alarm, thread_sysinfo);
	CHECK(error_of(SYS_getitimer) == 66 && error_of(SYS_munmap) == 67,
	      "filters of the leader: %d %d", error_of(SYS_getitimer), error_of(SYS_munmap));
	CHECK(error_of(SYS_sysinfo) != 77, "the leader has the thread's filter");
	test_end(pid);
	pass();
}
