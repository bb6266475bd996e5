// SPDX-License-Identifier: GPL-2.0-only
/* A child with one of everything that a core holds is frozen and described; what it says of itself is compared. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "image/image.h"
#include "op.h"
#include "remote/arena.h"
#include "remote/clone.h"
#include "remote/freeze.h"
#include "remote/puppet.h"
#include "remote/trace.h"
#include "seccomp.pb-c.h"
#include "task/core.h"
#include "task/parts.h"
#include "test/unit/lib/bytes.h"
#include "test/unit/lib/child.h"
#include "util/xmalloc.h"

static char altstack[65536];
static int ready[2];

static void say(char c)
{
	assert_int_equal(write(ready[1], &c, 1), 1);
}

static void handler(int signo)
{
}

static void *second_thread(void *arg)
{
	stack_t ss = { .ss_sp = altstack, .ss_size = sizeof(altstack) };
	union sigval sv = { .sival_int = 77 };
	sigset_t set;

	prctl(PR_SET_NAME, "second");
	prctl(PR_SET_PDEATHSIG, SIGUSR2);
	sigaltstack(&ss, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGTERM); /* pending for the process */
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	pthread_sigqueue(pthread_self(), SIGRTMIN + 1, sv);
	sv.sival_int = 78;
	pthread_sigqueue(pthread_self(), SIGRTMIN + 1, sv);
	syscall(SYS_setresuid, 1000, 2000, 0);
	setpriority(PRIO_PROCESS, syscall(SYS_gettid), 15);
	say('2');
	for (;;)
		pause();
	return NULL;
}

static void timers(void)
{
	struct itimerval it = { .it_value.tv_sec = 1000, .it_interval.tv_sec = 7 };
	struct itimerspec its = { .it_value.tv_sec = 500, .it_interval.tv_sec = 5 };
	struct sigevent se = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGUSR2,
			       .sigev_value.sival_int = 5 };
	timer_t id;

	setitimer(ITIMER_REAL, &it, NULL);
	timer_create(CLOCK_MONOTONIC, &se, &id);
	timer_delete(id);
	timer_create(CLOCK_BOOTTIME, &se, &id);
	timer_settime(id, 0, &its, NULL);
}

static void filter(void)
{
	/* ptrace is not for us; a system call of the puppet's that the filter forbids must not be seen by it */
	static struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getitimer, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(insns), .filter = insns };

	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &prog);
	insns[1].k = SYS_timer_gettime;
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

static void body(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	union sigval sv = { .sival_int = 99 };
	gid_t groups[] = { 5, 6, 70000 };
	struct rlimit r = { 100, 200 };
	pthread_t t;
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* no child outlives a failed test */
	sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL); /* a sanitizer has one */
	sigaddset(&sa.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigqueue(getpid(), SIGTERM, sv);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setrlimit(RLIMIT_NOFILE, &r);
	timers();
	setgroups(3, groups);
	pthread_create(&t, NULL, second_thread, NULL);
	prctl(PR_SET_NAME, "a) (b");
	prctl(PR_CAPBSET_DROP, CAP_SYS_RAWIO);
	prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_setresgid, 11, 12, 13);
	filter();
	say('1');
	for (;;)
		pause();
}

static struct op op;

static void infect(struct task *t)
{
	struct puppet *first = puppet_infect(t->pid, t->vpid, t->nr_threads);

	assert_non_null(first);
	leader(t)->puppet = first;
	for (unsigned i = 1; i < t->nr_threads; i++) {
		t->threads[i].puppet = puppet_join(first, t->threads[i].tid, t->threads[i].vtid, i);
		assert_non_null(t->threads[i].puppet);
	}
}

static void cure(struct task *t)
{
	for (int i = t->nr_threads - 1; i >= 0; i--)
		assert_int_equal(puppet_cure(t->threads[i].puppet), 0);
}

static pid_t child(void)
{
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		body();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(read(ready[0], &c, 1), 1);
	usleep(10000);
	close(ready[0]), close(ready[1]);
	return pid;
}

static void check_signals(const CoreEntry *core)
{
	const TaskCoreEntry *tc = core->tc;
	const siginfo_t *si;

	assert_int_equal(tc->blk_sigset, 1 << (SIGTERM - 1));
	assert_int_equal(tc->n_sigactions, 62);
	assert_int_equal(tc->sigactions[SIGUSR1 - 2]->sigaction,
			 (uintptr_t)handler); /* SIGKILL is before it */
	assert_int_equal(tc->sigactions[SIGUSR1 - 2]->mask, 1 << (SIGHUP - 1));
	assert_true(tc->sigactions[SIGUSR1 - 2]->flags & SA_RESTART);
	assert_int_equal(tc->sigactions[SIGPIPE - 2]->sigaction, (uintptr_t)SIG_IGN);
	assert_int_equal(tc->sigactions[61]->sigaction, 0);
	assert_int_equal(tc->signals_s->n_signals, 1);
	si = (const siginfo_t *)tc->signals_s->signals[0]->siginfo.data;
	assert_int_equal(si->si_signo, SIGTERM);
	assert_int_equal(si->si_value.sival_int, 99);
}

static void check_timers(const TaskTimersEntry *t)
{
	assert_int_equal(t->real->isec, 7);
	assert_in_range(t->real->vsec, 990, 1000);
	assert_int_equal(t->virt->vsec, 0);
	assert_int_equal(t->n_posix, 1);
	assert_int_equal(t->posix[0]->it_id, 1); /* 0 was deleted */
	assert_int_equal(t->posix[0]->clock_id, CLOCK_BOOTTIME);
	assert_int_equal(t->posix[0]->si_signo, SIGUSR2);
	assert_int_equal(t->posix[0]->sival_ptr & 0xffffffff, 5);
	assert_int_equal(t->posix[0]->isec, 5);
	assert_in_range(t->posix[0]->vsec, 490, 500);
	assert_false(t->posix[0]->has_notify_thread_id);
}

/* Oldest first: each with the system call that it forbids. */
static void check_filters(void)
{
	SeccompEntry *e;
	char dir[] = "/tmp/core-XXXXXX";

	assert_non_null(mkdtemp(dir));
	op.images = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(seccomp_write(&op), 0);
	assert_int_equal(image_read_one(op.images, IMG_SECCOMP, 0, (ProtobufCMessage **)&e), 0);
	unlinkat(op.images, "seccomp.img", 0);
	close(op.images);
	rmdir(dir);
	assert_int_equal(e->n_seccomp_filters, 2);
	assert_false(e->seccomp_filters[0]->has_prev);
	assert_int_equal(e->seccomp_filters[0]->flags, SECCOMP_FILTER_FLAG_LOG);
	assert_int_equal(((struct sock_filter *)e->seccomp_filters[0]->filter.data)[1].k,
			 SYS_getitimer);
	assert_true(e->seccomp_filters[1]->has_prev);
	assert_int_equal(e->seccomp_filters[1]->prev, 0);
	assert_int_equal(((struct sock_filter *)e->seccomp_filters[1]->filter.data)[1].k,
			 SYS_timer_gettime);
	seccomp_entry__free_unpacked(e, NULL);
}

static void check_leader(const CoreEntry *core)
{
	const ThreadCoreEntry *th = core->thread_core;
	const CredsEntry *c = th->creds;

	check_signals(core);
	check_timers(core->tc->timers);
	assert_int_equal(core->tc->task_state, TASK_ALIVE);
	assert_string_equal(core->tc->comm, "a) (b");
	assert_true(core->tc->child_subreaper);
	assert_int_equal(core->tc->rlimits->n_rlimits, 16);
	assert_int_equal(core->tc->rlimits->rlimits[RLIMIT_NOFILE]->cur, 100);
	assert_int_equal(core->tc->rlimits->rlimits[RLIMIT_NOFILE]->max, 200);
	assert_int_equal(th->futex_rla_len, 24);
	assert_true(th->futex_rla);
	assert_true(core->thread_info->clear_tid_addr);
	assert_non_null(th->rseq_entry);
	assert_int_equal(th->sas->ss_flags, SS_DISABLE);
	assert_int_equal(c->n_groups, 3);
	assert_int_equal(c->groups[2], 70000);
	assert_int_equal(c->gid, 11);
	assert_int_equal(c->egid, 12);
	assert_int_equal(c->sgid, 13);
	assert_int_equal(c->fsgid, 12);
	assert_int_equal(c->secbits, SECBIT_NO_SETUID_FIXUP);
	assert_int_equal(c->no_new_privs, 1);
	assert_false(c->cap_bnd[0] & 1 << CAP_SYS_RAWIO);
	assert_int_equal(th->seccomp_mode, SECCOMP_MODE__filter);
	assert_int_equal(th->seccomp_filter, 1);
	check_filters();
	assert_int_equal(core->thread_info->gpregs->ax, SYS_pause);
}

static void check_second(const CoreEntry *core)
{
	const ThreadCoreEntry *th = core->thread_core;

	assert_null(core->tc);
	assert_string_equal(th->comm, "second");
	assert_int_equal(th->sas->ss_sp, (uintptr_t)altstack);
	assert_int_equal(th->sas->ss_size, sizeof(altstack));
	assert_int_equal(th->sched_nice, 15);
	assert_int_equal(th->creds->uid, 1000);
	assert_int_equal(th->creds->euid, 2000);
	assert_int_equal(th->creds->suid, 0);
	assert_int_equal(th->creds->cap_eff[0], 0);
	assert_true(th->has_blk_sigset);
	assert_int_equal(th->signals_p->n_signals, 2);
	assert_int_equal(((siginfo_t *)th->signals_p->signals[0]->siginfo.data)->si_value.sival_int,
			 77);
	assert_int_equal(((siginfo_t *)th->signals_p->signals[1]->siginfo.data)->si_value.sival_int,
			 78);
	assert_false(th->has_seccomp_mode);
}

/* signals_check() and the others are content with what was dumped, through bytes */
static void check_checks(const CoreEntry *core, bool is_leader)
{
	CoreEntry *c = through_bytes(core);

	assert_int_equal(signals_check(c, is_leader), 0);
	assert_int_equal(creds_check(c), 0);
	if (is_leader)
		assert_int_equal(timers_check(c), 0);
	core_entry__free_unpacked(c, NULL);
}

static void describes_a_task(void **state)
{
	pid_t pid = child();
	struct task *t;

	if (geteuid())
		skip();
	TAILQ_INIT(&op.tasks);
	assert_int_equal(freeze_tree(&op, pid, 0), 0);
	t = op.root;
	assert_int_equal(t->nr_threads, 2);
	infect(t);
	assert_int_equal(core_dump(&op, t), 0);
	check_leader(leader(t)->core);
	check_second(t->threads[1].core);
	check_checks(leader(t)->core, true);
	check_checks(t->threads[1].core, false);
	cure(t);
	thaw_tree(&op, false);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* alive */
	tasks_free(&op);
	seccomp_free(&op);
	end_child(pid);
}

/* What may differ between two descriptions of the same: time goes on, flags of the kernel's own, registers. */
static void level(CoreEntry *core)
{
	thread_info_x86__free_unpacked(core->thread_info, NULL);
	core->thread_info = NULL;
	if (!core->tc)
		return;
	assert_true(core->tc->timers->real->vsec > 900);
	assert_true(core->tc->timers->posix[0]->vsec > 400);
	core->tc->timers->real->vsec = core->tc->timers->real->vusec = 0;
	core->tc->timers->posix[0]->vsec = core->tc->timers->posix[0]->vnsec = 0;
	core->tc->flags = 0;
}

static void assert_same_core(CoreEntry *a, CoreEntry *b)
{
	size_t len_a, len_b;
	uint8_t *x, *y;

	level(a), level(b);
	len_a = core_entry__get_packed_size(a);
	len_b = core_entry__get_packed_size(b);
	x = malloc(len_a);
	y = malloc(len_b);
	core_entry__pack(a, x);
	core_entry__pack(b, y);
	assert_int_equal(len_a, len_b);
	assert_memory_equal(x, y, len_a);
	free(x), free(y);
}

static void make_puppets(struct task *t, struct arena *arena)
{
	const uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			       CLONE_SYSVSEM;

	leader(t)->puppet = puppet_clone_root(arena, leader(t)->vtid, 0);
	assert_non_null(leader(t)->puppet);
	leader(t)->tid = t->pid = leader(t)->puppet->tid;
	t->threads[1].puppet = puppet_clone(leader(t)->puppet, t->threads[1].vtid, 1, flags, 0);
	assert_non_null(t->threads[1].puppet);
	t->threads[1].tid = t->threads[1].puppet->tid;
}

/* A task is described, ended, made again from the description, and described again. */
static void makes_it_again(void **state)
{
	struct thread threads[2] = { 0 };
	struct task t = { .nr_threads = 2, .threads = threads, .proc = -1, .state = TASK_ALIVE };
	struct arena *arena;
	CoreEntry *cores[2];
	pid_t pid = child();

	if (geteuid())
		skip();
	TAILQ_INIT(&op.tasks);
	assert_int_equal(freeze_tree(&op, pid, 0), 0);
	infect(op.root);
	assert_int_equal(core_dump(&op, op.root), 0);
	t.vpid = pid;
	for (int i = 0; i < 2; i++) {
		threads[i].vtid = op.root->threads[i].vtid;
		threads[i].task = &t;
		cores[i] = threads[i].core = op.root->threads[i].core;
		op.root->threads[i].core = NULL;
	}
	/* its memory is not there, only what a fork of this process has */
	rseq_entry__free_unpacked(cores[1]->thread_core->rseq_entry, NULL);
	cores[1]->thread_core->rseq_entry = NULL;
	assert_int_equal(kill_tree(&op), 0);
	tasks_free(&op);

	arena = arena_create(0x200000000000, 2);
	assert_non_null(arena);
	make_puppets(&t, arena);
	assert_int_equal(core_restore(&op, &t), 0);
	assert_int_equal(core_restore_late(&op, &t), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(core_restore_fpu_and_mask(&op, &threads[i]), 0);
		assert_int_equal(trace_get_sigmask(threads[i].tid,
						   &threads[i].puppet->saved_sigmask),
				 0);
		threads[i].core = NULL;
	}
	assert_int_equal(core_dump(&op, &t), 0);
	for (int i = 0; i < 2; i++) {
		assert_same_core(cores[i], threads[i].core);
		core_entry__free_unpacked(cores[i], NULL);
		core_entry__free_unpacked(threads[i].core, NULL);
	}
	seccomp_free(&op);
	kill(pid, SIGKILL);
	for (int i = 1; i >= 0; i--)
		waitpid(threads[i].tid, NULL, __WALL);
	arena_free(arena);
}

/* A pid that was somebody's a moment ago. */
static pid_t free_pid(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

/* The way of older kernels to the ids that a process had. */
static void counts_up_to_timer_ids(void **state)
{
	struct arena *arena = arena_create(0x200000000000, 1);
	PosixTimerEntry one = POSIX_TIMER_ENTRY__INIT, two = POSIX_TIMER_ENTRY__INIT,
			*list[] = { &one, &two };
	TaskTimersEntry timers = TASK_TIMERS_ENTRY__INIT;
	TaskCoreEntry tc = TASK_CORE_ENTRY__INIT;
	CoreEntry core = CORE_ENTRY__INIT;
	struct thread th = { .core = &core };
	struct task t = { .vpid = 1 };
	struct part w = { .op = &op, .t = &t, .th = &th, .leader = true };
	struct proc_timer *v;
	char path[64];
	size_t nr;

	if (geteuid())
		skip();
	one.it_id = 2;
	two.it_id = 700; /* more than one program's worth of calls before it */
	one.si_signo = two.si_signo = SIGUSR2;
	two.clock_id = CLOCK_BOOTTIME;
	timers.n_posix = 2;
	timers.posix = list;
	tc.timers = &timers;
	core.tc = &tc;
	w.p = th.puppet = puppet_clone_root(arena, free_pid(), 0);
	assert_non_null(w.p);
	prog_reset(w.p);
	assert_int_equal(timers_create_by_counting(&w), 0);
	snprintf(path, sizeof(path), "/proc/%d/timers", w.p->tid);
	assert_int_equal(proc_read_timers(AT_FDCWD, path, &v, &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(v[0].id + v[1].id, 702);
	assert_int_equal(v[v[1].id == 700].clock, CLOCK_BOOTTIME);
	free(v);
	one.it_id = 10000000;
	prog_reset(w.p);
	assert_int_equal(timers_create_by_counting(&w), -1); /* refused, not tried for hours */
	kill(w.p->tid, SIGKILL);
	waitpid(w.p->tid, NULL, __WALL);
	arena_free(arena);
}

static void describes_a_zombie(void **state)
{
	pid_t pid = fork();
	siginfo_t si;
	struct task t = { .state = TASK_DEAD, .exit_code = 3 << 8, .proc = -1, .nr_threads = 1 };
	struct thread th = { .task = &t };

	if (!pid) {
		prctl(PR_SET_NAME, "dead");
		_exit(3);
	}
	assert_int_equal(waitid(P_PID, pid, &si, WEXITED | WNOWAIT), 0);
	t.pid = t.vpid = th.tid = th.vtid = pid;
	t.threads = &th;
	assert_int_equal(core_dump(&op, &t), 0);
	assert_int_equal(th.core->tc->task_state, 2);
	assert_int_equal(th.core->tc->exit_code, 768);
	assert_string_equal(th.core->tc->comm, "dead");
	assert_null(th.core->thread_core);
	core_entry__free_unpacked(th.core, NULL);
	waitpid(pid, NULL, 0);
}

/* 300 threads that wait */
static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static void describes_many_threads(void **state)
{
	enum { NR = 300 };
	struct timespec a, b;
	struct task *t;
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		pthread_attr_t attr;
		pthread_t th;

		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, 65536);
		for (int i = 1; i < NR; i++)
			pthread_create(&th, &attr, wait_for_ever, NULL);
		say('1');
		wait_for_ever(NULL);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	TAILQ_INIT(&op.tasks);
	assert_int_equal(freeze_tree(&op, pid, 0), 0);
	t = op.root;
	assert_int_equal(t->nr_threads, NR);
	infect(t);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(core_dump(&op, t), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	print_message("%d threads described in %ld us\n", NR,
		      (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
	cure(t);
	thaw_tree(&op, false);
	tasks_free(&op);
	end_child(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes_a_task),	  cmocka_unit_test(makes_it_again),
		cmocka_unit_test(counts_up_to_timer_ids), cmocka_unit_test(describes_a_zombie),
		cmocka_unit_test(describes_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
