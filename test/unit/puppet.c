// SPDX-License-Identifier: GPL-2.0-only
/* A child is made a puppet, works for us, and is let go: it must not notice. */
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "op.h"
#include "remote/arena.h"
#include "remote/fdpass.h"
#include "remote/freeze.h"
#include "remote/puppet.h"
#include "util/io.h"
#include "util/xmalloc.h"

static pid_t start_child(void (*body)(int fd), int *fd)
{
	int p[2];
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (!pid) {
		alarm(20); /* whatever happens */
		close(p[0]);
		body(p[1]);
		_exit(99);
	}
	close(p[1]);
	*fd = p[0];
	return pid;
}

static char *slurp(pid_t pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	return read_file_at(AT_FDCWD, path, NULL);
}

static struct op freeze(pid_t pid)
{
	struct op op = { .name = "test" };

	TAILQ_INIT(&op.tasks);
	assert_int_equal(freeze_tree(&op, pid, 0), 0);
	/* the list's head has moved with the struct: only single tasks are used here */
	return op;
}

/* Sleeps three times in the kernel: a restart that goes wrong shows as EINTR, or as a sleep that is too short. */
static void sleeper(int fd)
{
	signal(SIGTRAP, SIG_IGN);
	write_full(fd, "r", 1);
	for (int i = 0; i < 3; i++) {
		struct timespec t = { 0, 200000000 }, rem = { 7, 7 };
		uint64_t start = now_us();

		if (nanosleep(&t, &rem) || now_us() - start < 190000)
			_exit(1);
	}
	if (signal(SIGTRAP, SIG_DFL) != SIG_IGN)
		_exit(2);
	_exit(42);
}

static void infect_and_cure(void **state)
{
	char byte, *maps, *maps2, *fds;
	int fd, status;
	pid_t pid = start_child(sleeper, &fd);
	struct fd_channel c;

	assert_int_equal(read_full(fd, &byte, 1), 1);
	for (int round = 0; round < 5; round++) {
		struct op op = freeze(pid);
		struct puppet *p;
		int a, b, remote;

		usleep(20000);
		maps = slurp(pid, "maps");
		p = puppet_infect(pid, pid, 1);
		assert_non_null(p);
		assert_int_equal(puppet_call(p, __NR_getpid), pid);

		/* results feed later calls; a failed call ends the program and is found */
		prog_reset(p);
		a = prog_add(p, RC_STOP, __NR_openat, AT_FDCWD, prog_str(p, "/dev/null"), O_RDONLY);
		b = prog_add(p, RC_STOP, __NR_close, RESULT(a));
		prog_add(p, RC_STOP, __NR_close, RESULT(a));
		prog_add(p, RC_STOP, __NR_exit_group, 3);
		assert_int_equal(prog_run_quiet(p), 2);
		assert_int_equal(errno, EBADF);
		assert_int_equal(prog_ret(p, b), 0);

		/* descriptors go in */
		assert_int_equal(fd_channel_open(p, &c), 0);
		assert_int_equal(fd_channel_send(p, &c, &(int){ STDIN_FILENO }, 1, &remote), 0);
		assert_int_equal(puppet_call(p, __NR_close, remote), 0);
		fd_channel_close(p, &c);

		assert_int_equal(puppet_cure(p), 0);
		maps2 = slurp(pid, "maps");
		assert_string_equal(maps, maps2);
		free(maps), free(maps2);
		thaw_tree(&op, false);
		usleep(50000);
	}
	fds = slurp(pid, "status");
	assert_non_null(strstr(fds, "TracerPid:\t0"));
	free(fds);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	close(fd);
}

/*
 * The tracer dies while the child is a puppet: the child puts itself back, with its sleep, its registers, its FPU state, its
 * mask and its alternate stack.
 */
static void survivor(int fd)
{
	double x = 1.25, y = x;
	stack_t ss = { .ss_sp = malloc(65536), .ss_size = 65536 }, now;
	sigset_t set, got;

	sigaltstack(&ss, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	write_full(fd, "r", 1);
	for (int i = 0; i < 40; i++) {
		struct timespec t = { 0, 20000000 };

		if (nanosleep(&t, NULL))
			_exit(1);
		y = y * 3 / 3;
	}
	sigaltstack(NULL, &now);
	sigprocmask(SIG_BLOCK, NULL, &got);
	if (y != x || now.ss_sp != ss.ss_sp || now.ss_size != 65536 ||
	    !sigismember(&got, SIGUSR2) || sigismember(&got, SIGUSR1))
		_exit(2);
	write_full(fd, "d", 1);
	_exit(43);
}

static void tracer_dies(void **state)
{
	char byte;
	int fd, status;
	pid_t pid = start_child(survivor, &fd), tracer;

	assert_int_equal(read_full(fd, &byte, 1), 1);
	for (int in_program = 0; in_program < 2; in_program++) {
		tracer = fork();
		if (!tracer) {
			struct op op = { .name = "test" };
			struct puppet *p;
			struct timespec t = { 0, 100000000 };

			TAILQ_INIT(&op.tasks);
			if (freeze_tree(&op, pid, 0) || !(p = puppet_infect(pid, pid, 1)))
				_exit(1);
			prog_reset(p);
			prog_add(p, 0, __NR_nanosleep, prog_buf(p, &t, sizeof(t)), 0);
			if (in_program)
				prog_start(p); /* it ends after its tracer */
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(tracer, &status, 0), tracer);
		assert_true(WIFSIGNALED(status));
		usleep(150000);
	}
	assert_int_equal(read_full(fd, &byte, 1), 1);
	assert_int_equal(byte, 'd');
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 43);
	close(fd);
}

/* A process to be found in a job control stop, or not. */
static void patient(int fd)
{
	write_full(fd, "r", 1);
	for (;;)
		pause();
}

static void trace_and_die(const pid_t *pids, int nr, bool elsewhere)
{
	for (int i = 0; i < nr; i++) {
		struct op op = { .name = "test" };

		TAILQ_INIT(&op.tasks);
		if (freeze_tree(&op, pids[i], 0) || !puppet_infect(pids[i], pids[i], 1))
			_exit(1);
	}
	if (elsewhere)
		arenas_end_with_us();
	kill(getpid(), SIGKILL);
}

/* The tracer dies, twice: first its puppets go on, then, when it has said so, all of them end, the stopped one when it is continued. */
static void puppets_end(void **state)
{
	enum { NR = 4 };
	pid_t pids[NR], tracer;
	int fd[NR], status;
	char byte;

	for (int i = 0; i < NR; i++) {
		pids[i] = start_child(patient, &fd[i]);
		assert_int_equal(read_full(fd[i], &byte, 1), 1);
	}
	kill(pids[0], SIGSTOP);
	assert_int_equal(waitpid(pids[0], &status, WUNTRACED), pids[0]);
	for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
		tracer = fork();
		if (!tracer)
			trace_and_die(pids, NR, elsewhere);
		assert_int_equal(waitpid(tracer, &status, 0), tracer);
		assert_true(WIFSIGNALED(status));
		if (!elsewhere) {
			usleep(50000);
			for (int i = 0; i < NR; i++)
				assert_int_equal(waitpid(pids[i], &status, WNOHANG), 0);
		}
	}
	kill(pids[0], SIGCONT);
	for (int i = 0; i < NR; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
		close(fd[i]);
	}
}

static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

#include <pthread.h>
static void threads(int fd)
{
	pthread_t t;

	for (int i = 0; i < 20; i++)
		pthread_create(&t, NULL, idle, NULL);
	if (!fork())
		idle(NULL);
	if (!fork())
		_exit(3);
	usleep(20000);
	write_full(fd, "r", 1);
	idle(NULL);
}

static void whole_tree(void **state)
{
	struct op op = { .name = "test" };
	struct task *t;
	char byte;
	int fd, status;
	pid_t pid = start_child(threads, &fd);

	assert_int_equal(read_full(fd, &byte, 1), 1);
	TAILQ_INIT(&op.tasks);
	assert_int_equal(freeze_tree(&op, pid, 0), 0);
	assert_int_equal(op.nr_tasks, 3);
	assert_int_equal(op.root->nr_threads, 21);
	assert_int_equal(leader(op.root)->tid, pid);
	t = TAILQ_LAST(&op.tasks, task_list);
	assert_int_equal(t->state, TASK_DEAD);
	assert_int_equal(t->exit_code, 3 << 8);
	for_each_thread (th, op.root) {
		th->puppet = th == op.root->threads
				     ? puppet_infect(th->tid, th->tid, 21)
				     : puppet_join(op.root->threads[0].puppet, th->tid, th->tid,
						   th - op.root->threads);
		assert_non_null(th->puppet);
		assert_int_equal(puppet_call(th->puppet, __NR_gettid), th->tid);
	}
	for (int i = 20; i >= 0; i--) {
		assert_int_equal(puppet_cure(op.root->threads[i].puppet), 0);
		op.root->threads[i].puppet = NULL;
	}
	pid = op.root->pid;
	assert_int_equal(kill_tree(&op), 0);
	tasks_free(&op);
	assert_int_equal(waitpid(pid, &status, 0), -1); /* reaped by kill_tree() as their tracer */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(infect_and_cure),
		cmocka_unit_test(whole_tree),
		cmocka_unit_test(tracer_dies),
		cmocka_unit_test(puppets_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
