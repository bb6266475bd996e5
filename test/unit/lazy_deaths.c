// SPDX-License-Identifier: GPL-2.0-only
/* Processes of lazy-pages, and servers, that die while memory comes (unit/lib/lazy_world.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lazy/handover.h"
#include "lazy/uffd.h"
#include "op.h"
#include "stories.h"
#include "test/unit/lib/lazy_world.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/opts.h"
#include "util/xmalloc.h"

/* How many descriptors of the daemon lead to a file with NAME in its path. */
static unsigned nr_open(const char *name)
{
	char path[64], target[256];
	unsigned nr = 0;

	for (int fd = 0; fd < 1000; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", w.daemon, fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[max(n, 0)] = 0;
		nr += n > 0 && strstr(target, name);
	}
	return nr;
}

static int child_after_fork_of_part(void *arg)
{
	for (size_t i = 0; i < 20000; i++)
		if (!right(BASE + i * PAGE_SIZE, i))
			return 1;
	return 0;
}

/* Touches, discards, moves and forks while the worker is killed again and again. */
static void worker_dies(void **state)
{
	char *to = BASE + (1ULL << 40);
	pid_t child = 0;

	begin(mode_of(state), 30000);
	run();
	for (size_t round = 0; round < 20; round++) {
		for (size_t k = 0; k < 200; k++)
			assert_page(mix(round * 1000 + k) % 20000);
		kill_now(child_of_daemon(false));
		/* of the last third: one part is discarded, one moves away */
		assert_int_equal(madvise(BASE + (20000 + round * 100) * PAGE_SIZE, 50 * PAGE_SIZE,
					 MADV_DONTNEED),
				 0);
		assert_ptr_equal(mremap(BASE + (25000 + round * 100) * PAGE_SIZE, 50 * PAGE_SIZE,
					50 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
					to + round * 50 * PAGE_SIZE),
				 to + round * 50 * PAGE_SIZE);
		if (round == 10) {
			child = spawn(child_after_fork_of_part, NULL);
			kill_now(child_of_daemon(false));
		}
	}
	assert_pages(0, 20000);
	for (size_t i = 0; i < 2000; i++)
		assert_true(i % 100 < 50 ? zeros(BASE + (20000 + i) * PAGE_SIZE)
					 : right(BASE + (20000 + i) * PAGE_SIZE, 20000 + i));
	for (size_t i = 0; i < 1000; i++)
		assert_true(right(to + i * PAGE_SIZE, 25000 + i / 50 * 100 + i % 50));
	assert_int_equal(exit_status(child), 0);
	munmap(to, 1000 * PAGE_SIZE);
	end();
}

/* What the dead ones have counted is not counted again. */
static void counted_once(void **state)
{
	cleanup_free char *report = xasprintf("/dev/shm/lazy-test.%d.html", getpid()), *text = NULL;
	const char *row = "Discarded before they came</th><td>", *at;

	setenv("REPORT", report, 1);
	begin(IMAGES, 100000);
	unsetenv("REPORT");
	run();
	madvise(BASE + (w.nr - 1000) * PAGE_SIZE, 1000 * PAGE_SIZE, MADV_DONTNEED);
	for (size_t i = 0; i < 3; i++) {
		kill_now(child_of_daemon(false));
		assert_page(i);
	}
	assert_pages(0, w.nr - 1000);
	end();
	text = read_file_at(AT_FDCWD, report, NULL);
	unlink(report);
	assert_non_null(text);
	at = strstr(text, row);
	assert_non_null(at);
	assert_in_range(atoi(at + strlen(row)), 0, 1000);
	assert_non_null(strstr(text, "in 1 task<"));
}

/* Whoever takes the place of the process that was started: it ends when all is done. */
static void wait_for_end(pid_t pid)
{
	for (int i = 0; i < 600 && !kill(pid, 0); i++)
		usleep(100000);
	assert_int_equal(kill(pid, 0), -1);
}

static void all_comes_without_main(pid_t guard)
{
	assert_int_equal(exit_status(w.daemon), 128 + SIGKILL);
	w.daemon = spawn(nothing, NULL);
	assert_pages(0, w.nr);
	wait_for_end(guard);
	end();
}

static void main_dies(void **state)
{
	pid_t guard;

	begin(mode_of(state), 30000);
	run();
	assert_page(0);
	guard = child_of_daemon(true);
	assert_true(guard > 0);
	kill_now(w.daemon);
	for (size_t k = 0; k < 5000; k++)
		assert_page(mix(k) % w.nr);
	all_comes_without_main(guard);
}

static void main_and_worker_die(void **state)
{
	pid_t guard, worker;

	begin(mode_of(state), 30000);
	run();
	guard = child_of_daemon(true);
	worker = child_of_daemon(false);
	assert_true(guard > 0 && worker > 0);
	kill_now(w.daemon);
	kill_now(worker);
	all_comes_without_main(guard);
}

static int patient_task(void *arg)
{
	if (be_restored())
		return 1;
	kill_now(w.server);
	for (size_t k = 0; k < w.nr; k++)
		if (!right(BASE + mix(k) % w.nr * PAGE_SIZE, mix(k) % w.nr))
			return 2;
	return 0;
}

static int resume(void *arg)
{
	opts.resume = true;
	return cmd_lazy_pages();
}

/* The server is gone for good: the task, which is returned, is stopped. */
static pid_t give_up_on_server(void)
{
	pid_t task;
	int status;

	prepare(IMAGES, 100000);
	opts.reconnect_timeout_s = 1;
	write_images(true);
	w.server = spawn_ready(run_server);
	w.daemon = spawn_ready(run_daemon);
	opts.reconnect_timeout_s = 0;
	task = spawn(patient_task, NULL);
	alarm(30);
	assert_int_equal(waitpid(task, &status, WUNTRACED), task);
	alarm(0);
	assert_true(WIFSTOPPED(status));
	exit_status(w.server);
	return task;
}

/* The task goes on when it is said where the pages are now. */
static void gives_up(void **state)
{
	cleanup_free char *report = xasprintf("/dev/shm/lazy-test.%d.html", getpid()), *text = NULL;
	int32_t pid = VPID;
	pid_t task;
	int restore;

	setenv("REPORT", report, 1);
	task = give_up_on_server();
	unsetenv("REPORT");
	for (int i = 0; i < 500 && access(report, F_OK); i++)
		usleep(10000);
	text = read_file_at(AT_FDCWD, report, NULL);
	assert_non_null(text);
	assert_non_null(strstr(text, "in 1 task<"));
	opts.port++;
	w.server = spawn_ready(run_server);
	/* a restore, which waits for an answer */
	restore = lazy_try_connect(w.dir);
	assert_int_equal(write(restore, &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(exit_status(spawn(resume, NULL)), 0);
	assert_int_equal(exit_status(task), 0);
	close(restore);
	end();
	unlink(report);
}

/* The guard that takes main's place, and the one after it, know that the tasks are stopped, and where the server is now. */
static void main_dies_when_it_has_given_up(void **state)
{
	pid_t task = give_up_on_server(), guard, worker;

	usleep(300000);
	guard = child_of_daemon(true);
	kill_now(w.daemon);
	assert_int_equal(exit_status(w.daemon), 128 + SIGKILL);
	w.daemon = guard;
	opts.port++;
	w.server = spawn_ready(run_server);
	assert_int_equal(exit_status(spawn(resume, NULL)), 0);
	guard = child_of_daemon(true);
	worker = child_of_daemon(false);
	kill_now(w.daemon);
	kill_now(worker);
	assert_int_equal(exit_status(task), 0);
	wait_for_end(guard);
	w.daemon = spawn(nothing, NULL);
	end();
}

static useconds_t gone_us = 100000;

/* Starts the server three times on the same port, and kills it twice while the task runs. */
static int keep_server(void *arg)
{
	int *ready = arg;

	w.server = spawn(run_server, ready);
	for (int i = 0; i < 2; i++) {
		while (!*task_runs)
			usleep(1000);
		usleep(20000);
		kill_now(w.server);
		exit_status(w.server);
		usleep(gone_us);
		*ready = -1;
		w.server = spawn(run_server, ready);
	}
	return exit_status(w.server);
}

/* The server of images dies and is started again: the daemon comes back to it, the task only waits. */
static void server_dies(void **state)
{
	server_main = keep_server;
	begin(IMAGES, 100000);
	server_main = run_server;
	run();
	for (size_t k = 0; k < 3000; k++) {
		size_t i = mix(k) % w.nr;

		assert_page(i);
		if (k % 30 == 0)
			usleep(1000);
	}
	assert_pages(0, w.nr);
	end();
}

/* A server that is gone for long: each worker that looks for it in vain closes what it had opened. */
static void looks_for_the_server(void **state)
{
	gone_us = 1000000;
	server_main = keep_server;
	begin(IMAGES, 100000);
	server_main = run_server;
	gone_us = 100000;
	run();
	usleep(900000);
	assert_in_range(nr_open("/pages-"), 0, 1);
	assert_in_range(nr_open("eventpoll"), 0, 1);
	assert_pages(0, w.nr);
	end();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		in_mode(worker_dies, LOCAL, "local"),
		in_mode(worker_dies, IMAGES, "images"),
		in_mode(worker_dies, FROZEN, "frozen"),
		in_mode(counted_once, IMAGES, "images"),
		in_mode(main_dies, FROZEN, "frozen"),
		in_mode(main_and_worker_die, FROZEN, "frozen"),
		in_mode(gives_up, IMAGES, "images"),
		in_mode(main_dies_when_it_has_given_up, IMAGES, "images"),
		in_mode(server_dies, IMAGES, "images"),
		in_mode(looks_for_the_server, IMAGES, "images"),
	};

	lazy_world_init();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
