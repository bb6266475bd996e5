// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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
#include "proc/proc.h"
#include "stories.h"
#include "test/unit/lib/lazy_world.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/opts.h"
#include "util/xmalloc.h"

struct world w;
uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

bool plain_pages; /* every page exists and differs: what memload has */

/* Of a hundred pages: 10 were never there, 5 are there and full of zeros. */
bool page_exists(size_t i)
{
	return plain_pages || i % 100 < 90;
}
uint64_t word_of(size_t i, size_t k)
{
	return (!plain_pages && i % 100 < 5) || !page_exists(i) ? 0 : mix(i * 512 + k + 1);
}

void fill(char *at, size_t i)
{
	for (size_t k = 0; k < 512; k++)
		((uint64_t *)at)[k] = word_of(i, k);
}

/* True where the memory at AT is what page I was. */
bool right(const char *at, size_t i)
{
	for (size_t k = 0; k < 512; k++)
		if (((volatile uint64_t *)at)[k] != word_of(i, k))
			return false;
	return true;
}

bool zeros(const char *at)
{
	for (size_t k = 0; k < 512; k++)
		if (((volatile uint64_t *)at)[k])
			return false;
	return true;
}

void assert_pages(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (!right(BASE + i * PAGE_SIZE, i))
			fail_msg("page %zu is not right", i);
}

void assert_page(size_t i)
{
	assert_pages(i, i + 1);
}

/* ---- the world ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void write_images(bool present)
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

pid_t spawn(int (*run)(void *), void *arg)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(arg));
	}
	return pid;
}

static int run_frozen(void *arg)
{
	for (size_t i = 0; i < w.nr; i++)
		if (page_exists(i))
			fill(BASE + i * PAGE_SIZE, i);
	raise(SIGSTOP);
	return 0;
}

int run_server(void *arg)
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

int run_plain_server(void *arg)
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

int run_daemon(void *arg)
{
	opts.status_fd = *(int *)arg;
	opts.page_server = w.mode != LOCAL;
	opts.display_stats = getenv("STATS");
	opts.report = getenv("REPORT");
	return cmd_lazy_pages();
}

pid_t spawn_ready(int (*run)(void *))
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

void map_memory(void)
{
	assert_ptr_equal(mmap(BASE, w.nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
			 BASE);
}

/* Everything up to the moment at which a restored task runs. */
int (*server_main)(void *) = run_server;

/* The task runs: in memory that the server shares. */
atomic_bool *task_runs;

void prepare(enum mode mode, size_t nr_pages)
{
	w = (struct world){ .mode = mode, .nr = nr_pages };
	strcpy(w.path, "/dev/shm/lazy-test.XXXXXX");
	assert_non_null(mkdtemp(w.path));
	w.dir = open(w.path, O_RDONLY | O_DIRECTORY);
	dirs.images = dirs.work = w.dir;
	opts.status_fd = opts.ps_socket = -1;
	opts.address = (char *)"127.0.0.1";
	opts.port = 20000 + getpid() % 20000;
}

void begin(enum mode mode, size_t nr_pages)
{
	struct op op = {};

	prepare(mode, nr_pages);
	op.work = w.dir;
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

void run(void)
{
	assert_int_equal(lazy_finish(w.sock), 0);
	lazy_released(w.sock);
	close(w.sock);
	*task_runs = true;
}

int exit_status(pid_t pid)
{
	int status;

	alarm(60);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	alarm(0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void remove_all(void)
{
	close(w.dir);
	nftw(w.path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	munmap(BASE, w.nr * PAGE_SIZE);
	w.path[0] = 0;
}

void end(void)
{
	assert_int_equal(exit_status(w.daemon), 0);
	if (w.server)
		assert_int_equal(exit_status(w.server), 0);
	if (w.frozen) {
		kill(w.frozen, SIGKILL);
		waitpid(w.frozen, NULL, 0);
	}
	remove_all();
}

int be_restored(void)
{
	struct op op = { .work = w.dir };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int sock = lazy_connect(&op);

	map_memory();
	if (uffd_api(uffd, false) || uffd_register(uffd, (uintptr_t)BASE, w.nr * PAGE_SIZE) ||
	    lazy_send_task(sock, VPID, getpid(), uffd, false) || lazy_finish(sock))
		return -1;
	lazy_released(sock);
	close(uffd);
	return 0;
}

enum mode mode_of(void **state)
{
	return *(enum mode *)*state;
}

enum mode modes[] = { LOCAL, IMAGES, FROZEN, PLAIN };

/* It has its name soon after its start: until then it is none. */
static bool is_called(pid_t pid, const char *name)
{
	cleanup_free char *path = xasprintf("/proc/%d/stat", pid);
	cleanup_free char *text = read_file_at(AT_FDCWD, path, NULL);
	struct proc_stat st;

	return text && !proc_parse_stat(text, &st) && st.state != 'Z' && !strcmp(st.comm, name);
}

static pid_t find_child(const char *text, bool guard)
{
	pid_t found = 0;

	for (const char *p = text; p && *p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL) {
		pid_t pid = atoi(p);

		if (pid && is_called(pid, guard ? "lazy-guard" : "lazy-worker"))
			found = pid;
	}
	return found;
}

/* As long as the daemon lives: there will be one soon. */
pid_t child_of_daemon(bool guard)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", w.daemon, w.daemon);
	for (int i = 0; i < 2000; i++) {
		cleanup_free char *text = read_file_at(AT_FDCWD, path, NULL);
		pid_t found = text ? find_child(text, guard) : 0;

		if (!text || !*text || found)
			return found;
		usleep(1000);
	}
	return 0;
}

void kill_now(pid_t pid)
{
	if (pid > 0)
		kill(pid, SIGKILL);
}

int clean_up(void **state)
{
	if (!w.path[0])
		return 0;
	if (w.daemon > 0) {
		kill_now(child_of_daemon(true));
		kill_now(w.daemon);
	}
	kill_now(w.server);
	kill_now(w.frozen);
	while (waitpid(-1, NULL, 0) > 0)
		;
	remove_all();
	return 0;
}

void lazy_world_init(void)
{
	task_runs = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			 0);
	opts.verbosity = 2;
}

int nothing(void *arg)
{
	return 0;
}
