// SPDX-License-Identifier: GPL-2.0-only
/* The server of pages and its clients, some of which come and go at the wrong moment. The server runs in a thread, so that a thread sanitizer sees both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lazy/serve.h"
#include "lazy/server.h"
#include "lazy/spill.h"
#include "mem/pagemap.h"
#include "net/conn.h"
#include "net/wire.h"
#include "util/dirs.h"
#include "util/log.h"
#include "util/opts.h"

#define ADDRESS "127.0.0.1"

struct world {
	pthread_t thread;
	struct lazy_outcome out;
	int ret;
};

static void *serve(void *arg)
{
	struct world *w = arg;

	w->ret = lazy_serve_tasks(NULL, NULL, 0, &w->out);
	return NULL;
}

static void begin(struct world *w)
{
	opts.status_fd = opts.ps_socket = -1;
	opts.address = (char *)ADDRESS;
	opts.port = 20000 + getpid() % 20000;
	dirs.images = AT_FDCWD;
	assert_int_equal(lazy_server_listen(), 0);
	assert_int_equal(pthread_create(&w->thread, NULL, serve, w), 0);
}

static void end(struct world *w)
{
	alarm(20);
	pthread_join(w->thread, NULL);
	alarm(0);
}

static struct conn reach(void)
{
	struct conn c;

	assert_int_equal(conn_connect(&c, ADDRESS, opts.port, 1000, false), 0);
	return c;
}

/* A lazy-pages: its urgent connection, and its bulk one. */
static void come(struct conn c[2])
{
	struct ps_msg m = { .cmd = PS_HELLO, .nr_pages = PS_VERSION, .vaddr = PS_FEAT_BULK };

	c[0] = reach();
	assert_int_equal(conn_send(&c[0], &m, sizeof(m)), 0);
	assert_int_equal(conn_recv(&c[0], &m, sizeof(m)), 0);
	m.cmd = PS_ATTACH;
	c[1] = reach();
	assert_int_equal(conn_send(&c[1], &m, sizeof(m)), 0);
}

/* It is killed: both connections end at the same moment. The tasks here must go on, so the server has to notice each time. */
static void killed_before_the_commit(void **state)
{
	struct conn c[2];
	struct world w;

	for (unsigned i = 0; i < 100; i++) {
		begin(&w);
		come(c);
		conn_close(&c[1]);
		conn_close(&c[0]);
		end(&w);
		assert_int_equal(w.ret, -1);
		assert_false(w.out.committed);
	}
}

/* Others leave while it says that it has everything. */
static void strangers_leave(void **state)
{
	struct ps_msg m = { .cmd = PS_CLOSE };
	struct conn c[2], others[8];
	struct world w;
	int32_t status;

	for (unsigned i = 0; i < 20; i++) {
		begin(&w);
		come(c);
		for (unsigned k = 0; k < 8; k++)
			others[k] = reach();
		for (unsigned k = 0; k < 8; k++)
			conn_close(&others[k]);
		assert_int_equal(conn_send(&c[0], &m, sizeof(m)), 0);
		assert_int_equal(conn_recv(&c[0], &status, sizeof(status)), 0);
		end(&w);
		assert_int_equal(w.ret, 0);
		assert_true(w.out.complete);
		conn_close(&c[0]);
		conn_close(&c[1]);
	}
}

static atomic_bool full; /* no descriptor is free */
static atomic_uint nr_refused;

/* In the place of the library's. */
int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	if (!full)
		return syscall(SYS_accept4, fd, sa, len, flags);
	nr_refused++;
	errno = EMFILE;
	return -1;
}

/* Who can't be let in just now waits; the server does not spend its time, and the disk, on saying so. */
static void no_descriptors(void **state)
{
	struct conn c[2];
	struct world w;

	begin(&w);
	full = true;
	c[0] = reach();
	usleep(300000);
	assert_in_range(nr_refused, 1, 10);
	full = false;
	conn_close(&c[0]);
	come(c);
	conn_close(&c[1]);
	conn_close(&c[0]);
	end(&w);
	assert_int_equal(w.ret, -1);
}

/* ---- spill ---- */

static unsigned nr_synced;

/* In the place of the library's. */
int sync_file_range(int fd, off64_t from, off64_t len, unsigned flags)
{
	nr_synced++;
	return 0;
}

#define RUNS 2000
#define RUN  5 /* pages: pieces of this length seldom end where so much is to go to the disk */

static struct pagemap *many_runs(char *mem)
{
	struct pagemap *pm = calloc(1, sizeof(*pm));

	pm->pages_fd = -1;
	pm->runs = calloc(RUNS, sizeof(*pm->runs));
	for (; pm->nr < RUNS; pm->nr++)
		pm->runs[pm->nr] = (struct page_run){ .start = (uintptr_t)mem +
							       pm->nr * (RUN + 1) * PAGE_SIZE,
						      .nr_pages = RUN,
						      .flags = PE_LAZY };
	return pm;
}

/* 39 MiB in small runs go to the disk while they are written, not all at the end. */
static void spill_goes_to_the_disk(void **state)
{
	char images[] = "/tmp/serve-test.XXXXXX", path[64];
	size_t len = RUNS * (RUN + 1) * PAGE_SIZE;
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pagemap *pm = many_runs(mem);
	struct stored st = {};
	struct server sv;

	assert_non_null(mkdtemp(images));
	dirs.images = dirs.work = open(images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(openat(dirs.images, "inventory.img", O_WRONLY | O_CREAT, 0600));
	snprintf(path, sizeof(path), "%s/spill", images);
	opts.spill = path;
	assert_int_equal(spill_open(), 0);
	assert_int_equal(server_init(&sv, false), 0);
	assert_int_equal(source_init(&st.source, ps_id(PS_TYPE_TASK, 42), pm, getpid()), 0);
	TAILQ_INSERT_TAIL(&sv.sources, &st, link);
	spill_start(&sv);
	for (int i = 0; i < 9000 && spill_state() == SPILL_RUNS; i++)
		usleep(10000);
	assert_int_equal(spill_state(), SPILL_FINISHED);
	assert_true(nr_synced >= 4);
	TAILQ_REMOVE(&sv.sources, &st, link);
	spill_end(true);
	server_end(&sv);
	source_end(&st.source);
	pagemap_close(pm);
	munmap(mem, len);
	unlinkat(dirs.images, "inventory.img", 0);
	close(dirs.images);
	assert_int_equal(rmdir(images), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_before_the_commit),
		cmocka_unit_test(strangers_leave),
		cmocka_unit_test(no_descriptors),
		cmocka_unit_test(spill_goes_to_the_disk),
	};

	log_level = LOG_SILENT; /* they are let go with complaints */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
