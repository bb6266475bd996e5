// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lazy engine end to end, without dump and restore: this process plays the restored task. It registers memory of its own with userfaultfd,
 * hands it to a real lazy-pages over the socket, and looks at every page. The pages come from images here, from a page server
 * that reads images, or from a stopped process ("frozen task") through lazy_serve_tasks().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lazy/handover.h"
#include "lazy/serve.h"
#include "lazy/uffd.h"
#include "mem/pagemap.h"
#include "net/conn.h"
#include "net/wire.h"
#include "op.h"
#include "stories.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/opts.h"
#include "util/xmalloc.h"

enum mode { LOCAL, IMAGES, FROZEN, PLAIN };
#define VPID 4321
#define BASE ((char *)0x200000000000)

struct world {
	enum mode mode;
	char path[64];
	size_t nr; /* pages */
	int dir, uffd, sock;
	pid_t daemon, server, frozen;
};
static struct world w;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

static bool plain_pages; /* every page exists and differs: what memload has */

/* Of a hundred pages: 10 were never there, 5 are there and full of zeros. */
static bool page_exists(size_t i)
{
	return plain_pages || i % 100 < 90;
}
static uint64_t word_of(size_t i, size_t k)
{
	return (!plain_pages && i % 100 < 5) || !page_exists(i) ? 0 : mix(i * 512 + k + 1);
}

static void fill(char *at, size_t i)
{
	for (size_t k = 0; k < 512; k++)
		((uint64_t *)at)[k] = word_of(i, k);
}

/* True where the memory at AT is what page I was. */
static bool right(const char *at, size_t i)
{
	for (size_t k = 0; k < 512; k++)
		if (((volatile uint64_t *)at)[k] != word_of(i, k))
			return false;
	return true;
}

static bool zeros(const char *at)
{
	for (size_t k = 0; k < 512; k++)
		if (((volatile uint64_t *)at)[k])
			return false;
	return true;
}

/* ---- the world ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void write_images(bool present)
{
	struct pagemap_writer pw;
	char page[PAGE_SIZE];

	assert_int_equal(pagemap_create(&pw, w.dir, IMG_PAGEMAP, VPID), 0);
	for (size_t i = 0; i < w.nr; i++) {
		if (!page_exists(i))
			continue;
		assert_int_equal(pagemap_add(&pw, (uintptr_t)BASE + i * PAGE_SIZE, 1,
					     present ? PE_LAZY | PE_PRESENT : PE_LAZY),
				 0);
		fill(page, i);
		if (present)
			assert_int_equal(write_full(image_fd(pw.pages), page, sizeof(page)), 0);
	}
	assert_int_equal(pagemap_finish(&pw), 0);
}

static pid_t spawn(int (*run)(void *), void *arg)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(arg));
	}
	return pid;
}

static int nothing(void *arg);
static int run_frozen(void *arg)
{
	for (size_t i = 0; i < w.nr; i++)
		if (page_exists(i))
			fill(BASE + i * PAGE_SIZE, i);
	raise(SIGSTOP);
	return 0;
}

static int run_server(void *arg)
{
	struct lazy_outcome out;
	struct lazy_source source = { .vpid = VPID, .pid = w.frozen };
	int ret;

	opts.status_fd = *(int *)arg;
	if (w.mode == IMAGES) {
		opts.lazy_pages = true;
		return cmd_page_server();
	}
	source.pm = pagemap_open(w.dir, IMG_PAGEMAP, VPID);
	ret = lazy_server_listen() || lazy_serve_tasks(NULL, &source, 1, &out);
	return ret || !out.complete || !out.committed;
}

/* ---- a page server that knows the plain protocol and nothing else, as CRIU 4.2's ---- */

static int plain_answer(int c, const struct ps_msg *m)
{
	size_t i = (m->vaddr - (uintptr_t)BASE) / PAGE_SIZE, nr = 0;
	struct ps_msg a = { .cmd = PS_ADD_F | PE_PRESENT << 16,
			    .vaddr = m->vaddr,
			    .dst_id = m->dst_id };
	char page[PAGE_SIZE];

	if (m->dst_id != ps_id(PS_TYPE_TASK, VPID))
		return -1;
	while (nr < m->nr_pages && i + nr < w.nr && page_exists(i + nr))
		nr++;
	if (!nr) /* it has none: drops the connection */
		return -1;
	a.nr_pages = nr > 3 ? nr - nr % 3 : nr; /* fewer than were asked for, now and then */
	if (write_full(c, &a, sizeof(a)))
		return -1;
	for (size_t k = 0; k < a.nr_pages; k++) {
		fill(page, i + k);
		if (write_full(c, page, sizeof(page)))
			return -1;
	}
	return 0;
}

static int plain_client(int c)
{
	struct ps_msg m;
	int32_t zero = 0;

	for (;;) {
		if (read_full(c, &m, sizeof(m)) != sizeof(m))
			return -1;
		switch (m.cmd) {
		case PS_GET:
			if (plain_answer(c, &m))
				return -1;
			break;
		case PS_CLOSE:
			return write_full(c, &zero, sizeof(zero));
		default:
			return -1;
		}
	}
}

static int run_plain_server(void *arg)
{
	int listener, c, port = opts.port;

	listener = conn_listen("127.0.0.1", &port);
	if (listener < 0 || write(*(int *)arg, "", 1) != 1)
		return 1;
	c = accept(listener, NULL, NULL);
	if (!plain_client(c)) /* the hello is not known: dropped */
		return 2;
	close(c);
	c = accept(listener, NULL, NULL);
	return plain_client(c) ? 3 : 0;
}

static int run_daemon(void *arg)
{
	opts.status_fd = *(int *)arg;
	opts.page_server = w.mode != LOCAL;
	opts.display_stats = getenv("STATS");
	opts.report = getenv("REPORT");
	return cmd_lazy_pages();
}

static pid_t spawn_ready(int (*run)(void *))
{
	int p[2];
	char byte = 1;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = spawn(run, &p[1]);
	close(p[1]);
	assert_int_equal(read(p[0], &byte, 1), 1);
	assert_int_equal(byte, 0);
	close(p[0]);
	return pid;
}

static void map_memory(void)
{
	assert_ptr_equal(mmap(BASE, w.nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
			 BASE);
}

/* Everything up to the moment at which a restored task runs. */
static int (*server_main)(void *) = run_server;

/* The task runs: in memory that the server shares. */
static atomic_bool *task_runs;

static void begin(enum mode mode, size_t nr_pages)
{
	struct op op = {};

	w = (struct world){ .mode = mode, .nr = nr_pages };
	*task_runs = false;
	strcpy(w.path, "/dev/shm/lazy-test.XXXXXX");
	assert_non_null(mkdtemp(w.path));
	w.dir = open(w.path, O_RDONLY | O_DIRECTORY);
	dirs.images = dirs.work = op.work = w.dir;
	opts.status_fd = opts.ps_socket = -1;
	opts.address = (char *)"127.0.0.1";
	opts.port = 20000 + getpid() % 20000;
	write_images(mode == LOCAL || mode == IMAGES);
	map_memory();
	if (mode == FROZEN) {
		int status;

		w.frozen = spawn(run_frozen, NULL);
		assert_int_equal(waitpid(w.frozen, &status, WUNTRACED), w.frozen);
		assert_true(WIFSTOPPED(status));
	}
	if (mode != LOCAL)
		w.server = spawn_ready(mode == PLAIN ? run_plain_server : server_main);
	w.daemon = spawn_ready(run_daemon);
	w.uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	assert_true(w.uffd >= 0);
	assert_int_equal(uffd_api(w.uffd, false), 0);
	assert_int_equal(uffd_register(w.uffd, (uintptr_t)BASE, w.nr * PAGE_SIZE), 0);
	w.sock = lazy_connect(&op);
	assert_true(w.sock >= 0);
	assert_int_equal(lazy_send_dead(w.sock, 99), 0);
	assert_int_equal(lazy_send_task(w.sock, VPID, getpid(), w.uffd, false), 0);
	close(w.uffd);
}

static void run(void)
{
	assert_int_equal(lazy_finish(w.sock), 0);
	lazy_released(w.sock);
	close(w.sock);
	*task_runs = true;
}

static int exit_status(pid_t pid)
{
	int status;

	alarm(60);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	alarm(0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void end(void)
{
	assert_int_equal(exit_status(w.daemon), 0);
	if (w.server)
		assert_int_equal(exit_status(w.server), 0);
	if (w.frozen) {
		kill(w.frozen, SIGKILL);
		waitpid(w.frozen, NULL, 0);
	}
	close(w.dir);
	nftw(w.path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	munmap(BASE, w.nr * PAGE_SIZE);
}

static enum mode mode_of(void **state)
{
	return *(enum mode *)*state;
}

/* ---- stories ---- */

static void all_in_order(void **state)
{
	begin(mode_of(state), 5000);
	run();
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	end();
}

static void at_random(void **state)
{
	begin(mode_of(state), 20000);
	run();
	for (size_t k = 0; k < w.nr; k++) {
		size_t i = mix(k) % w.nr;

		assert_true(right(BASE + i * PAGE_SIZE, i));
	}
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	end();
}

/* restore itself needs pages before it is done */
static void before_the_end_of_restore(void **state)
{
	begin(mode_of(state), 1000);
	for (size_t i = 100; i < 300; i += 7)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	run();
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	end();
}

/* nobody touches anything: the background brings it all */
static void untouched(void **state)
{
	begin(mode_of(state), 5000);
	run();
	end();
}

static void untouched_is_there(void **state)
{
	unsigned char in[5000];

	begin(mode_of(state), 5000);
	run();
	assert_int_equal(exit_status(w.daemon), 0);
	assert_int_equal(mincore(BASE, w.nr * PAGE_SIZE, in), 0);
	for (size_t i = 0; i < w.nr; i++) {
		assert_int_equal(in[i] & 1, page_exists(i));
		assert_true(right(BASE + i * PAGE_SIZE, i));
	}
	w.daemon = spawn(nothing, NULL); /* something for end() to wait for */
	end();
}

static bool in_place(size_t i)
{
	unsigned char in;

	assert_int_equal(mincore(BASE + i * PAGE_SIZE, PAGE_SIZE, &in), 0);
	return in & 1;
}

/* Before restore is done there is no background: what is in place was brought by faults. */
static void faults_in_order_bring_more(void **state)
{
	begin(mode_of(state), 1000);
	for (size_t i = 10; i < 18; i++) /* 10, 11-12, 13-16, 17-24 */
		assert_true(right(BASE + i * PAGE_SIZE, i));
	alarm(20);
	while (!in_place(24))
		usleep(1000);
	alarm(0);
	for (size_t i = 0; i < w.nr; i++)
		assert_int_equal(in_place(i), i >= 10 && i < 25);
	for (size_t k = 0; k < 8; k++) /* in no order: one each */
		assert_true(right(BASE + (800 - 70 * k) * PAGE_SIZE, 800 - 70 * k));
	for (size_t k = 0; k < 8; k++)
		assert_false(in_place(801 - 70 * k));
	/* two readers at once, each in order */
	for (size_t k = 0; k < 8; k++) {
		assert_true(right(BASE + (130 + k) * PAGE_SIZE, 130 + k));
		assert_true(right(BASE + (620 + k) * PAGE_SIZE, 620 + k));
	}
	alarm(20);
	while (!in_place(144) || !in_place(634))
		usleep(1000);
	alarm(0);
	run();
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	end();
}

static void *touch(void *arg)
{
	size_t seed = (size_t)arg, bad = 0;

	for (size_t k = 0; k < 5000; k++) {
		size_t i = mix(k * 4 + seed) % w.nr;

		bad += !right(BASE + i * PAGE_SIZE, i);
	}
	return (void *)bad;
}

static void threads(void **state)
{
	pthread_t t[4];

	begin(mode_of(state), 20000);
	run();
	for (size_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, touch, (void *)i);
	for (size_t i = 0; i < 4; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	end();
}

/* Parent and child each write what they want, and each has its own copy of what is missing. */
static int child_after_fork(void *arg)
{
	int bad = 0;

	for (size_t i = 0; i < w.nr; i++) {
		char *at = BASE + i * PAGE_SIZE;

		if (i % 3 == 0)
			memset(at, 'c', PAGE_SIZE);
		else
			bad |= !right(at, i);
	}
	return bad;
}

static int child_after_fork_of_part(void *arg)
{
	for (size_t i = 0; i < 20000; i++)
		if (!right(BASE + i * PAGE_SIZE, i))
			return 1;
	return 0;
}

static int nothing(void *arg)
{
	return 0;
}

static void forks(void **state)
{
	pid_t children[3];

	begin(mode_of(state), 20000);
	run();
	for (int k = 0; k < 3; k++) {
		children[k] = spawn(child_after_fork, NULL);
		for (size_t i = k; i < w.nr; i += 50)
			memset(BASE + i * PAGE_SIZE, 'p', PAGE_SIZE);
		/* what the parent wrote before the next fork is what that child gets: put it back */
		for (size_t i = k; i < w.nr; i += 50)
			fill(BASE + i * PAGE_SIZE, i);
	}
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	for (int k = 0; k < 3; k++)
		assert_int_equal(exit_status(children[k]), 0);
	end();
}

static void discards(void **state)
{
	begin(mode_of(state), 20000);
	run();
	for (size_t i = 0; i + 20 < w.nr; i += 100) { /* i..i+19 are discarded, the rest stays */
		assert_int_equal(madvise(BASE + i * PAGE_SIZE, 20 * PAGE_SIZE, MADV_DONTNEED), 0);
		BASE[(i + 3) * PAGE_SIZE] = 'n'; /* newer than anything that may come */
	}
	for (size_t i = 0; i < w.nr; i++) {
		char *at = BASE + i * PAGE_SIZE;

		if (i % 100 == 3) {
			assert_int_equal(*at, 'n');
			*at = 0;
			assert_true(zeros(at));
		} else if (i % 100 < 20 && i + 20 < w.nr + i % 100) {
			assert_true(zeros(at));
		} else {
			assert_true(right(at, i));
		}
	}
	end();
}

static void moves(void **state)
{
	char *to = BASE + (1ULL << 40);

	begin(mode_of(state), 20000);
	run();
	/* two blocks change places by way of a third, a block moves away and grows */
	assert_ptr_equal(mremap(BASE, 1000 * PAGE_SIZE, 1000 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to),
			 to);
	assert_ptr_equal(mremap(BASE + 5000 * PAGE_SIZE, 1000 * PAGE_SIZE, 1000 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, BASE),
			 BASE);
	assert_ptr_equal(mremap(to, 1000 * PAGE_SIZE, 1000 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, BASE + 5000 * PAGE_SIZE),
			 BASE + 5000 * PAGE_SIZE);
	assert_ptr_equal(mremap(BASE + 18000 * PAGE_SIZE, 2000 * PAGE_SIZE, 3000 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to),
			 to);
	for (size_t i = 0; i < 1000; i++) {
		assert_true(right(BASE + i * PAGE_SIZE, 5000 + i));
		assert_true(right(BASE + (5000 + i) * PAGE_SIZE, i));
		assert_true(right(to + i * PAGE_SIZE, 18000 + i));
		assert_true(zeros(to + (2000 + i) * PAGE_SIZE));
	}
	for (size_t i = 1000; i < 5000; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	munmap(to, 3000 * PAGE_SIZE);
	end();
}

/* ---- several threads at once: the kernel tells of what they do in any order ---- */

#define CHUNK	   8 /* pages */
#define NR_CHUNKS  (w.nr / CHUNK)
#define CHUNK_SIZE (CHUNK * PAGE_SIZE)
#define MOVERS	   4

static size_t wrong_in(const char *at, size_t chunk)
{
	size_t bad = 0;

	for (size_t i = 0; i < CHUNK; i++)
		bad += !right(at + i * PAGE_SIZE, chunk * CHUNK + i);
	return bad;
}

/* Where the kernel puts a chunk that grows is where another thread has just unmapped one, or moved it away from. */
static void *grow_chunks(void *arg)
{
	size_t bad = 0;

	for (size_t c = (size_t)arg; c < NR_CHUNKS; c += MOVERS) {
		char *at = BASE + c * CHUNK_SIZE;

		for (size_t more = 1; more < 4; more++)
			at = mremap(at, CHUNK_SIZE + (more - 1) * PAGE_SIZE,
				    CHUNK_SIZE + more * PAGE_SIZE, MREMAP_MAYMOVE);
		if (c / MOVERS % 3)
			bad += wrong_in(at, c);
		munmap(at, CHUNK_SIZE + 3 * PAGE_SIZE);
	}
	return (void *)bad;
}

static void moves_meet(void **state)
{
	pthread_t t[MOVERS];
	size_t all = 0;

	begin(mode_of(state), 40000);
	run();
	for (size_t i = 0; i < MOVERS; i++)
		pthread_create(&t[i], NULL, grow_chunks, (void *)i);
	for (size_t i = 0; i < MOVERS; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		all += (size_t)bad;
	}
	assert_int_equal(all, 0);
	end();
}

static atomic_size_t chunk_that_moves;

static void *move_chunks(void *arg)
{
	for (size_t c = NR_CHUNKS; c--;) { /* the last pages come last */
		char *at = BASE + c * CHUNK_SIZE, *to = at + (1ULL << 40);

		chunk_that_moves = c;
		if (mremap(at, CHUNK_SIZE, CHUNK_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			break;
	}
	chunk_that_moves = SIZE_MAX;
	return NULL;
}

/* A child has the chunk that moved while it was made either where it was or where it went, and all of it. */
static int look_at_chunks(void *arg)
{
	size_t at_fork = chunk_that_moves, bad = 0;

	if (at_fork == SIZE_MAX)
		return 0;
	for (size_t c = at_fork - min(at_fork, 2UL); c < min(at_fork + 3, NR_CHUNKS); c++) {
		char *at = BASE + c * CHUNK_SIZE;
		unsigned char there[CHUNK];

		if (mincore(at, CHUNK_SIZE, there))
			at += 1ULL << 40;
		bad += wrong_in(at, c);
	}
	return bad != 0;
}

static void fork_meets_move(void **state)
{
	size_t nr = 0, bad = 0;
	pid_t *children;
	pthread_t t;

	begin(mode_of(state), 40000);
	children = calloc(NR_CHUNKS, sizeof(*children));
	run();
	chunk_that_moves = 0;
	pthread_create(&t, NULL, move_chunks, NULL);
	while (chunk_that_moves != SIZE_MAX && nr < 200)
		children[nr++] = spawn(look_at_chunks, NULL);
	pthread_join(t, NULL);
	while (nr)
		bad += exit_status(children[--nr]) != 0;
	assert_int_equal(bad, 0);
	munmap(BASE + (1ULL << 40), w.nr * PAGE_SIZE);
	free(children);
	end();
}

static void unmaps(void **state)
{
	begin(mode_of(state), 20000);
	run();
	assert_int_equal(munmap(BASE, 10000 * PAGE_SIZE), 0);
	/* something else comes to the same place: nothing of the old may appear in it */
	assert_ptr_equal(mmap(BASE, 10000 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
			 BASE);
	for (size_t i = 0; i < 10000; i++)
		assert_true(zeros(BASE + i * PAGE_SIZE));
	/* VMAs split: one copy must not reach over their borders */
	for (size_t i = 10000; i + 8 < w.nr; i += 37)
		assert_int_equal(mprotect(BASE + i * PAGE_SIZE, 8 * PAGE_SIZE, PROT_READ), 0);
	for (size_t i = 10000; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	end();
}

/* The task ends, or becomes another program, while pages are missing: the daemon ends well. */
static int ends_early(void *arg)
{
	struct op op = { .work = w.dir };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int sock = lazy_connect(&op);

	map_memory();
	if (uffd_api(uffd, false) || uffd_register(uffd, (uintptr_t)BASE, w.nr * PAGE_SIZE) ||
	    lazy_send_task(sock, VPID, getpid(), uffd, false) || lazy_finish(sock))
		return 1;
	lazy_released(sock);
	close(uffd);
	if (!right(BASE + 7 * PAGE_SIZE, 7))
		return 2;
	if (arg)
		execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static void exits(void **state)
{
	for (int exec = 0; exec < 2; exec++) {
		pid_t task;

		w = (struct world){ .mode = mode_of(state), .nr = 100000 };
		strcpy(w.path, "/dev/shm/lazy-test.XXXXXX");
		assert_non_null(mkdtemp(w.path));
		w.dir = open(w.path, O_RDONLY | O_DIRECTORY);
		dirs.images = dirs.work = w.dir;
		opts.status_fd = opts.ps_socket = -1;
		opts.address = (char *)"127.0.0.1";
		opts.port = 20000 + getpid() % 20000;
		write_images(true);
		if (w.mode == FROZEN)
			w.mode = IMAGES;
		if (w.mode != LOCAL)
			w.server = spawn_ready(w.mode == PLAIN ? run_plain_server : server_main);
		w.daemon = spawn_ready(run_daemon);
		task = spawn(ends_early, exec ? &w : NULL);
		assert_int_equal(exit_status(task), 0);
		end();
	}
}

static enum mode modes[] = { LOCAL, IMAGES, FROZEN, PLAIN };
#define each_mode(f)                                               \
	{ #f " (local)", f, NULL, NULL, &modes[LOCAL] },           \
		{ #f " (images)", f, NULL, NULL, &modes[IMAGES] }, \
		{ #f " (frozen)", f, NULL, NULL, &modes[FROZEN] }, \
	{                                                          \
#f " (plain)", f, NULL, NULL, &modes[PLAIN]        \
	}

/* ---- deaths ---- */

/* The daemon's children: the guard leads a session of its own, the worker does not. */
static pid_t child_of_daemon(bool guard)
{
	char path[64], *text, *p;
	pid_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", w.daemon, w.daemon);
	text = read_file_at(AT_FDCWD, path, NULL);
	for (p = text; p && *p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL) {
		pid_t pid = atoi(p);

		if (pid && (getsid(pid) == pid) == guard)
			found = pid;
	}
	free(text);
	return found;
}

static void kill_now(pid_t pid)
{
	if (pid > 0)
		kill(pid, SIGKILL);
}

/* Touches, discards, moves and forks while the worker is killed again and again. */
static void worker_dies(void **state)
{
	char *to = BASE + (1ULL << 40);
	pid_t child = 0;

	begin(mode_of(state), 30000);
	run();
	for (size_t round = 0; round < 20; round++) {
		for (size_t k = 0; k < 200; k++) {
			size_t i = mix(round * 1000 + k) % 20000;

			assert_true(right(BASE + i * PAGE_SIZE, i));
		}
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
	for (size_t i = 0; i < 20000; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
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
		assert_true(right(BASE + i * PAGE_SIZE, i));
	}
	for (size_t i = 0; i < w.nr - 1000; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
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

static void main_dies(void **state)
{
	pid_t guard;

	begin(mode_of(state), 30000);
	run();
	assert_true(right(BASE, 0));
	guard = child_of_daemon(true);
	assert_true(guard > 0);
	kill_now(w.daemon);
	for (size_t k = 0; k < 5000; k++) {
		size_t i = mix(k) % w.nr;

		assert_true(right(BASE + i * PAGE_SIZE, i));
	}
	assert_int_equal(exit_status(w.daemon), 128 + SIGKILL);
	w.daemon = spawn(nothing, NULL);
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	wait_for_end(guard);
	end();
}

static void main_and_worker_die(void **state)
{
	pid_t guard;

	begin(mode_of(state), 30000);
	run();
	guard = child_of_daemon(true);
	kill_now(w.daemon);
	kill_now(child_of_daemon(false));
	assert_int_equal(exit_status(w.daemon), 128 + SIGKILL);
	w.daemon = spawn(nothing, NULL);
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	wait_for_end(guard);
	end();
}

static int patient_task(void *arg)
{
	struct op op = { .work = w.dir };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int sock = lazy_connect(&op);

	map_memory();
	if (uffd_api(uffd, false) || uffd_register(uffd, (uintptr_t)BASE, w.nr * PAGE_SIZE) ||
	    lazy_send_task(sock, VPID, getpid(), uffd, false) || lazy_finish(sock))
		return 1;
	lazy_released(sock);
	close(uffd);
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

	w = (struct world){ .mode = IMAGES, .nr = 100000 };
	strcpy(w.path, "/dev/shm/lazy-test.XXXXXX");
	assert_non_null(mkdtemp(w.path));
	w.dir = open(w.path, O_RDONLY | O_DIRECTORY);
	dirs.images = dirs.work = w.dir;
	opts.status_fd = opts.ps_socket = -1;
	opts.address = (char *)"127.0.0.1";
	opts.port = 20000 + getpid() % 20000;
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

		assert_true(right(BASE + i * PAGE_SIZE, i));
		if (k % 30 == 0)
			usleep(1000);
	}
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	end();
}

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
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	end();
}

/*
 * lazy_engine bench MODE MIB PATTERN: what the engine takes for it, without dump and restore around it. PATTERN: none, seq, rand, or
 * randN with N threads.
 */

static void *touch_all(void *arg)
{
	size_t *range = arg, bad = 0;

	for (size_t k = 0; k < range[1]; k++) {
		size_t i = range[2] ? mix(k * 2 + range[0]) % w.nr : k;

		bad += *(volatile uint64_t *)(BASE + i * PAGE_SIZE) != word_of(i, 0);
	}
	range[3] = bad;
	return NULL;
}

/* CPU time of the child that was waited for last */
static void cpu(const char *who)
{
	static double before;
	struct rusage u;
	double now;

	getrusage(RUSAGE_CHILDREN, &u);
	now = u.ru_utime.tv_sec + u.ru_utime.tv_usec / 1e6 + u.ru_stime.tv_sec +
	      u.ru_stime.tv_usec / 1e6;
	printf("CPU of %s: %.3f s\n", who, now - before);
	before = now;
}

static int bench(const char *mode, size_t mib, const char *pattern)
{
	unsigned nr_threads = pattern[0] == 'r' && pattern[4] ? atoi(pattern + 4) : 1;
	size_t range[16][4];
	pthread_t t[16];
	uint64_t start, touched;

	plain_pages = true;
	setenv("STATS", "1", 1);
	begin(!strcmp(mode, "local")	? LOCAL
	      : !strcmp(mode, "images") ? IMAGES
	      : !strcmp(mode, "plain")	? PLAIN
					: FROZEN,
	      mib << 8);
	{ /* memory that is free has gone back to the host: see memload's "warm" */
		size_t len = w.nr * PAGE_SIZE + (64 << 20);
		char *m = mmap(NULL, len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		munmap(m, len);
	}
	start = now_us();
	run();
	for (unsigned i = 0; i < nr_threads && strcmp(pattern, "none"); i++) {
		range[i][0] = 7 + i;
		range[i][1] = w.nr / nr_threads;
		range[i][2] = pattern[0] == 'r';
		pthread_create(&t[i], NULL, touch_all, range[i]);
	}
	for (unsigned i = 0; i < nr_threads && strcmp(pattern, "none"); i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(range[i][3], 0);
	}
	touched = now_us();
	assert_int_equal(exit_status(w.daemon), 0);
	printf("%s %zu MiB %s: touched after %.3f s, complete after %.3f s\n", mode, mib, pattern,
	       (touched - start) / 1e6, (now_us() - start) / 1e6);
	cpu("lazy-pages");
	for (size_t i = 0; i < w.nr; i++)
		assert_true(right(BASE + i * PAGE_SIZE, i));
	if (w.server)
		assert_int_equal(exit_status(w.server), 0);
	cpu("server");
	w.server = 0;
	w.daemon = fork();
	if (!w.daemon)
		_exit(0);
	end();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		each_mode(all_in_order),
		each_mode(at_random),
		each_mode(before_the_end_of_restore),
		{ "faults_in_order_bring_more (local)", faults_in_order_bring_more, NULL, NULL,
		  &modes[LOCAL] },
		{ "faults_in_order_bring_more (images)", faults_in_order_bring_more, NULL, NULL,
		  &modes[IMAGES] },
		{ "faults_in_order_bring_more (frozen)", faults_in_order_bring_more, NULL, NULL,
		  &modes[FROZEN] },
		each_mode(untouched),
		each_mode(untouched_is_there),
		each_mode(threads),
		each_mode(forks),
		each_mode(discards),
		each_mode(moves),
		each_mode(unmaps),
		each_mode(moves_meet),
		each_mode(fork_meets_move),
		{ "worker_dies (local)", worker_dies, NULL, NULL, &modes[LOCAL] },
		{ "worker_dies (images)", worker_dies, NULL, NULL, &modes[IMAGES] },
		{ "worker_dies (frozen)", worker_dies, NULL, NULL, &modes[FROZEN] },
		{ "counted_once (images)", counted_once, NULL, NULL, &modes[IMAGES] },
		{ "main_dies (frozen)", main_dies, NULL, NULL, &modes[FROZEN] },
		{ "main_and_worker_die (frozen)", main_and_worker_die, NULL, NULL, &modes[FROZEN] },
		{ "gives_up (images)", gives_up, NULL, NULL, &modes[IMAGES] },
		{ "main_dies_when_it_has_given_up (images)", main_dies_when_it_has_given_up, NULL,
		  NULL, &modes[IMAGES] },
		{ "server_dies (images)", server_dies, NULL, NULL, &modes[IMAGES] },
		{ "looks_for_the_server (images)", looks_for_the_server, NULL, NULL,
		  &modes[IMAGES] },
		each_mode(exits),
	};

	task_runs = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			 0);
	opts.verbosity = 2;
	if (argc == 5 && !strcmp(argv[1], "bench"))
		return bench(argv[2], atoi(argv[3]), argv[4]);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
