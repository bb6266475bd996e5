// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "proc/proc.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* PARSE gives -1 for each of these texts, of an array. Behind them are its other arguments. */
#define assert_each_refused(parse, texts, ...)                      \
	do {                                                        \
		for (size_t t_ = 0; t_ < ARRAY_SIZE(texts); t_++)   \
			if (parse((texts)[t_], __VA_ARGS__) != -1)  \
				fail_msg("taken: %s", (texts)[t_]); \
	} while (0)

static void stat_sample(void **state)
{
	struct proc_stat st;

	assert_int_equal(
		proc_parse_stat(
			"42 (a) b (c) S 7 42 40 34816 -1 4194560 1 2 3 4 5 6 7 8 20 -5 3 0 9999 "
			"1000 2000 18446744073709551615 4096 8192 140737488347136 0 0 0 0 0 1 2 3 "
			"4 17 1 0 0 0 0 0 12288 16384 20480 100 200 300 400 768\n",
			&st),
		0);
	assert_int_equal(st.pid, 42);
	assert_string_equal(st.comm, "a) b (c");
	assert_int_equal(st.state, 'S');
	assert_int_equal(st.ppid, 7);
	assert_int_equal(st.pgrp, 42);
	assert_int_equal(st.session, 40);
	assert_int_equal(st.flags, 4194560);
	assert_int_equal(st.nice, -5);
	assert_int_equal(st.num_threads, 3);
	assert_int_equal(st.start_time, 9999);
	assert_int_equal(st.start_code, 4096);
	assert_int_equal(st.end_code, 8192);
	assert_int_equal(st.start_stack, 140737488347136);
	assert_int_equal(st.processor, 1);
	assert_int_equal(st.start_data, 12288);
	assert_int_equal(st.end_data, 16384);
	assert_int_equal(st.start_brk, 20480);
	assert_int_equal(st.arg_start, 100);
	assert_int_equal(st.env_end, 400);
	assert_int_equal(st.exit_code, 768);
}

static void stat_damaged(void **state)
{
	static const char *const damaged[] = {
		"",	      "42 (x", "42 (x)", "x (x) S 1", "42 (x) S 99999999999999999999999",
		"42 )x( S 1",
	};
	struct proc_stat st;

	assert_each_refused(proc_parse_stat, damaged, &st);
}

static void stat_self(void **state)
{
	struct proc_stat st;

	assert_int_equal(prctl(PR_SET_NAME, ") (S 1\n"), 0);
	assert_int_equal(proc_read_stat(AT_FDCWD, "/proc/self/stat", &st), 0);
	assert_int_equal(st.pid, getpid());
	assert_string_equal(st.comm, ") (S 1\n");
	assert_int_equal(st.state, 'R');
	assert_int_equal(st.session, getsid(0));
	assert_int_equal(st.nice, getpriority(PRIO_PROCESS, 0));
	assert_true(st.start_stack > (uintptr_t)&st);
}

static const char status_sample[] =
	"Name:\tx\nUmask:\t0027\nState:\tt (tracing "
	"stop)\nTgid:\t42\nNgid:\t0\nPid:\t42\nPPid:\t7\nTracerPid:\t99\n"
	"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t4294967294\nFDSize:\t64\nGroups:\t10 20 30 "
	"\nNStgid:\t42\t3\nNSpid:\t42\t3\n"
	"Threads:\t2\nSigQ:\t0/"
	"1\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000002\nSigBlk:\t8000000000000000\n"
	"SigIgn:\t0000000000000004\nSigCgt:\t0000000000000008\nCapInh:\t0000000000000000\nCapPrm:"
	"\t000001fffeffffff\n"
	"CapEff:\t0000000000000010\nCapBnd:\t0000000000000020\nCapAmb:"
	"\t0000000000000040\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	"Seccomp_filters:\t5\nSpeculation_Store_Bypass:\tvulnerable\n";

static void status_from_sample(void **state)
{
	struct proc_status st;

	assert_int_equal(proc_parse_status(status_sample, &st), 0);
	assert_int_equal(st.state, 't');
	assert_int_equal(st.tracer, 99);
	assert_true(st.has_umask);
	assert_int_equal(st.umask, 027);
	assert_int_equal(st.uid[0], 1);
	assert_int_equal(st.uid[3], 4);
	assert_int_equal(st.gid[3], 4294967294);
	assert_int_equal(st.nr_groups, 3);
	assert_int_equal(st.groups[2], 30);
	assert_int_equal(st.nr_nspid, 2);
	assert_int_equal(st.nspid[1], 3);
	assert_int_equal(st.threads, 2);
	assert_int_equal(st.sig_pnd, 1);
	assert_int_equal(st.shd_pnd, 2);
	assert_int_equal(st.sig_blk, 1UL << 63);
	assert_int_equal(st.sig_cgt, 8);
	assert_int_equal(st.cap_prm, 0x1fffeffffff);
	assert_int_equal(st.cap_amb, 0x40);
	assert_int_equal(st.no_new_privs, 1);
	assert_int_equal(st.seccomp, 2);
	assert_int_equal(st.seccomp_filters, 5);
	proc_status_free(&st);
}

static void status_damaged(void **state)
{
	static const char *const damaged[] = {
		"",
		"State:\tS\nUid:\t1\t2\t3\n",
		"State:\tS\nUid:\t1 2 3 4 5\n",
		"State:\tS\nGroups:\t1 x\n",
		"State:\tS\nCapEff:\tz\n",
		"State:\tS\nSigBlk:\t11112222333344445\n",
		"State:\tS\nUmask:\t0x\n",
	};
	struct proc_status st;

	assert_each_refused(proc_parse_status, damaged, &st);
}

struct seen {
	struct proc_vma v[8];
	char path[8][64];
	int nr, stop_at;
};
static int remember(const struct proc_vma *v, void *arg)
{
	struct seen *s = arg;

	s->v[s->nr] = *v;
	snprintf(s->path[s->nr], sizeof(s->path[0]), "%s", v->path);
	return ++s->nr == s->stop_at ? 5 : 0;
}

static void maps_sample(void **state)
{
	char text[] =
		"00400000-00401000 r-xp 00001000 fd:01 1234                               /bin/a b "
		"(deleted)\n"
		"7f0000000000-7f0000002000 rw-s ffff000 00:05 18446744073709551615 /x\\012y\\012\n"
		"7ffff0000000-7ffff0001000 ---p 00000000 00:00 0 \n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  "
		"[vsyscall]\n";
	struct seen s = { 0 };

	assert_int_equal(proc_parse_maps(text, remember, &s), 0);
	assert_int_equal(s.nr, 4);
	assert_int_equal(s.v[0].start, 0x400000);
	assert_int_equal(s.v[0].prot, PROT_READ | PROT_EXEC);
	assert_false(s.v[0].shared);
	assert_int_equal(s.v[0].pgoff, 0x1000);
	assert_int_equal(s.v[0].dev_major, 0xfd);
	assert_int_equal(s.v[0].dev_minor, 1);
	assert_int_equal(s.v[0].ino, 1234);
	assert_string_equal(s.path[0], "/bin/a b (deleted)");
	assert_true(s.v[1].shared);
	assert_int_equal(s.v[1].ino, UINT64_MAX);
	assert_string_equal(s.path[1], "/x\ny\n");
	assert_int_equal(s.v[2].prot, PROT_NONE);
	assert_string_equal(s.path[2], "");
	assert_int_equal(s.v[3].end, 0xffffffffff601000);
	assert_string_equal(s.path[3], "[vsyscall]");
}

static void maps_stop_and_damage(void **state)
{
	char two[] = "1000-2000 r--p 0 0:0 0 \n2000-3000 r--p 0 0:0 0 \n";
	char backwards[] = "2000-1000 r--p 0 0:0 0 \n", cut[] = "1000-2000 r--",
	     no_newline[] = "1000-2000 r--p 0 0:0 0 ", short_line[] = "1000-2000 r\n";
	char *const damaged[] = { backwards, cut, no_newline, short_line };
	struct seen s = { .stop_at = 1 };

	assert_int_equal(proc_parse_maps(two, remember, &s), 5);
	assert_int_equal(s.nr, 1);
	assert_each_refused(proc_parse_maps, damaged, remember, &s);
}

static void smaps_sample(void **state)
{
	char text[] = "1000-2000 rw-p 00000000 00:00 0                  [heap]\nSize:      4 "
		      "kB\nProtectionKey: 0\n"
		      "VmFlags: rd wr mr mw me gd ac dd um \n"
		      "2000-3000 r--s 00000000 00:00 0 \nSize:  4 kB\nVmFlags: rd sh zz ss\n";
	char lost[] = "Size: 4 kB\nVmFlags: rd\n";
	struct seen s = { 0 };

	assert_int_equal(proc_parse_smaps(text, remember, &s), 0);
	assert_int_equal(s.nr, 2);
	assert_string_equal(s.path[0], "[heap]");
	assert_int_equal(s.v[0].vm_flags, VMF_RD | VMF_WR | VMF_MR | VMF_MW | VMF_ME | VMF_GD |
						  VMF_AC | VMF_DD | VMF_UM);
	assert_int_equal(s.v[1].vm_flags, VMF_RD | VMF_SH | VMF_SS);
	assert_int_equal(proc_parse_smaps(lost, remember, &s), -1);
}

static int find_own(const struct proc_vma *v, void *arg)
{
	return v->start == (uintptr_t)arg && v->end == (uintptr_t)arg + 3 * PAGE_SIZE &&
			       v->prot == PROT_WRITE && v->shared &&
			       (!v->vm_flags || (v->vm_flags & VMF_DC))
		       ? 7
		       : 0;
}

static void maps_self(void **state)
{
	void *m = mmap(NULL, 3 * PAGE_SIZE, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	madvise(m, 3 * PAGE_SIZE, MADV_DONTFORK);
	assert_int_equal(proc_read_maps(AT_FDCWD, "/proc/self/maps", find_own, m), 7);
	assert_int_equal(proc_read_smaps(AT_FDCWD, "/proc/self/smaps", find_own, m), 7);
	munmap(m, 3 * PAGE_SIZE);
	assert_int_equal(proc_read_maps(AT_FDCWD, "/proc/self/maps", find_own, m), 0);
}

static int count(const struct proc_vma *v, void *arg)
{
	(*(int *)arg)++;
	return 0;
}

/* Ten thousand VMAs in milliseconds; the bound leaves room for a busy machine. */
static void maps_speed(void **state)
{
	enum { NR = 10000 };
	char *text = malloc(NR * 160), *p = text;
	uint64_t t;
	int nr = 0;

	for (int i = 0; i < NR; i++)
		p += sprintf(p,
			     "%lx-%lx r--p 00000000 fd:01 1234                    "
			     "/usr/lib/x86_64-linux-gnu/libc.so.6\n",
			     0x7f0000000000 + i * 8192L, 0x7f0000000000 + i * 8192L + 4096);
	t = now_us();
	assert_int_equal(proc_parse_maps(text, count, &nr), 0);
	t = now_us() - t;
	assert_int_equal(nr, NR);
	print_message("%d VMAs in %lu us\n", NR, t);
	assert_true(t < 50000);
	free(text);
}

static void limits_sample(void **state)
{
	static const char text[] =
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max cpu time              1                    unlimited            seconds   \n"
		"Max file size             unlimited            unlimited            bytes     \n"
		"Max data size             unlimited            unlimited            bytes     \n"
		"Max stack size            8388608              unlimited            bytes     \n"
		"Max core file size        0                    unlimited            bytes     \n"
		"Max resident set          unlimited            unlimited            bytes     \n"
		"Max processes             96365                96366                processes \n"
		"Max open files            1024                 20000                files     \n"
		"Max locked memory         8388608              8388608              bytes     \n"
		"Max address space         unlimited            unlimited            bytes     \n"
		"Max file locks            unlimited            unlimited            locks     \n"
		"Max pending signals       96365                96365                signals   \n"
		"Max msgqueue size         819200               819200               bytes     \n"
		"Max nice priority         0                    0                    \n"
		"Max realtime priority     0                    0                    \n"
		"Max realtime timeout      unlimited            7                    us        \n";
	struct proc_limit l[PROC_NR_LIMITS];
	struct rlimit r;

	assert_int_equal(proc_parse_limits(text, l), 0);
	assert_int_equal(l[RLIMIT_CPU].cur, 1);
	assert_int_equal(l[RLIMIT_CPU].max, UINT64_MAX);
	assert_int_equal(l[RLIMIT_NPROC].max, 96366);
	assert_int_equal(l[RLIMIT_NOFILE].cur, 1024);
	assert_int_equal(l[RLIMIT_RTTIME].max, 7);
	assert_int_equal(proc_parse_limits("Limit\nMax cpu time 1 2 seconds\n", l), -1);
	assert_int_equal(proc_parse_limits("", l), -1);

	assert_int_equal(proc_read_limits(AT_FDCWD, "/proc/self/limits", l), 0);
	for (int i = 0; i < PROC_NR_LIMITS; i++) {
		assert_int_equal(getrlimit(i, &r), 0);
		assert_int_equal(r.rlim_cur, l[i].cur);
		assert_int_equal(r.rlim_max, l[i].max);
	}
}

static void timers_sample(void **state)
{
	static const char *const damaged[] = {
		"signal: 34/0\n",
		"ID: 3\nnotify: pigeon/pid.1\n",
		"ID: x\n",
	};
	struct proc_timer *t;
	size_t nr;

	assert_int_equal(
		proc_parse_timers(
			"ID: 3\nsignal: 34/000000000000002a\nnotify: signal/pid.123\nClockID: 1\n"
			"ID: 7\nsignal: 10/ffffffffffffffff\nnotify: signal/tid.125\nClockID: -6\n"
			"ID: 8\nsignal: 0/0\nnotify: none/pid.123\nClockID: 0\n",
			&t, &nr),
		0);
	assert_int_equal(nr, 3);
	assert_int_equal(t[0].id, 3);
	assert_int_equal(t[0].signo, 34);
	assert_int_equal(t[0].sival, 42);
	assert_int_equal(t[0].notify, SIGEV_SIGNAL);
	assert_int_equal(t[0].target, 123);
	assert_int_equal(t[0].clock, 1);
	assert_int_equal(t[1].notify, 4); /* SIGEV_THREAD_ID */
	assert_int_equal(t[1].target, 125);
	assert_int_equal(t[1].clock, -6);
	assert_int_equal(t[2].notify, SIGEV_NONE);
	free(t);
	assert_int_equal(proc_parse_timers("", &t, &nr), 0);
	assert_int_equal(nr, 0);
	assert_each_refused(proc_parse_timers, damaged, &t, &nr);
}

static void timers_self(void **state)
{
	struct sigevent se = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGUSR1,
			       .sigev_value.sival_ptr = &se };
	struct proc_timer *v;
	timer_t id;
	size_t nr;

	assert_int_equal(timer_create(CLOCK_BOOTTIME, &se, &id), 0);
	assert_int_equal(proc_read_timers(AT_FDCWD, "/proc/self/timers", &v, &nr), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(v[0].id, (intptr_t)id);
	assert_int_equal(v[0].signo, SIGUSR1);
	assert_int_equal(v[0].sival, (uintptr_t)&se);
	assert_int_equal(v[0].target, getpid());
	assert_int_equal(v[0].clock, CLOCK_BOOTTIME);
	timer_delete(id);
	free(v);
}

static void children_sample(void **state)
{
	pid_t *v;
	size_t nr;

	assert_int_equal(proc_parse_children("10 20 4194304 ", &v, &nr), 0);
	assert_int_equal(nr, 3);
	assert_int_equal(v[2], 4194304);
	free(v);
	assert_int_equal(proc_parse_children("", &v, &nr), 0);
	assert_int_equal(nr, 0);
	assert_int_equal(proc_parse_children("10 x", &v, &nr), -1);
	assert_int_equal(proc_parse_children("99999999999", &v, &nr), -1);
}

static int mount_seen(const struct proc_mount *m, void *arg)
{
	struct proc_mount *v = arg;

	while (v->id)
		v++;
	*v = *m;
	return 0;
}

static void mountinfo_sample(void **state)
{
	char text[] = "36 35 98:0 /a\\040b /mnt\\134x rw,noatime shared:2 master:1 - ext3 "
		      "/dev/root rw,errors=continue\n"
		      "37 36 0:45 / /p rw unbindable new:3 - tmpfs  rw\n"
		      "38 36 0:46 / /q rw propagate_from:4 - proc proc rw\n";
	char cut[] = "36 35 98:0 / /mnt rw - ext3\n",
	     bad[] = "36 35 98:0 / /mnt rw shared:x - ext3 a b\n";
	struct proc_mount m[8] = { 0 };

	assert_int_equal(proc_parse_mountinfo(text, mount_seen, m), 0);
	assert_int_equal(m[0].id, 36);
	assert_int_equal(m[0].parent, 35);
	assert_int_equal(m[0].dev_major, 98);
	assert_string_equal(m[0].root, "/a b");
	assert_string_equal(m[0].mountpoint, "/mnt\\x");
	assert_string_equal(m[0].options, "rw,noatime");
	assert_int_equal(m[0].shared, 2);
	assert_int_equal(m[0].master, 1);
	assert_string_equal(m[0].fstype, "ext3");
	assert_string_equal(m[0].source, "/dev/root");
	assert_string_equal(m[0].super_options, "rw,errors=continue");
	assert_true(m[1].unbindable);
	assert_string_equal(m[1].source, "");
	assert_string_equal(m[1].super_options, "rw");
	assert_int_equal(m[2].propagate_from, 4);
	assert_int_equal(proc_parse_mountinfo(cut, mount_seen, m), -1);
	assert_int_equal(proc_parse_mountinfo(bad, mount_seen, m), -1);
}

static int mount_is_root(const struct proc_mount *m, void *arg)
{
	return !strcmp(m->mountpoint, "/");
}

static void mountinfo_self(void **state)
{
	assert_int_equal(proc_read_mountinfo(AT_FDCWD, "/proc/self/mountinfo", mount_is_root, NULL),
			 1);
}

static void timens_sample(void **state)
{
	struct proc_timens t;

	assert_int_equal(
		proc_parse_timens("monotonic      -86400  5\nboottime        7 999999999\n", &t),
		0);
	assert_int_equal(t.monotonic_sec, -86400);
	assert_int_equal(t.monotonic_nsec, 5);
	assert_int_equal(t.boottime_sec, 7);
	assert_int_equal(t.boottime_nsec, 999999999);
	assert_int_equal(proc_parse_timens("monotonic 1 2\n", &t), -1);
	assert_int_equal(proc_parse_timens("monotonic 1 2\nboottime 1 1000000000\n", &t), -1);
	assert_int_equal(proc_read_timens(AT_FDCWD, "/proc/self/timens_offsets", &t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_sample),	    cmocka_unit_test(stat_damaged),
		cmocka_unit_test(stat_self),	    cmocka_unit_test(status_from_sample),
		cmocka_unit_test(status_damaged),   cmocka_unit_test(maps_sample),
		cmocka_unit_test(smaps_sample),	    cmocka_unit_test(maps_stop_and_damage),
		cmocka_unit_test(maps_self),	    cmocka_unit_test(maps_speed),
		cmocka_unit_test(limits_sample),    cmocka_unit_test(timers_sample),
		cmocka_unit_test(timers_self),	    cmocka_unit_test(children_sample),
		cmocka_unit_test(mountinfo_sample), cmocka_unit_test(mountinfo_self),
		cmocka_unit_test(timens_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
