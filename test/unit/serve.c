// SPDX-License-Identifier: GPL-2.0-only
/* The server of pages and its clients, some of which come and go at the wrong moment. The server runs in a thread, so that a thread sanitizer sees both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lazy/serve.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_before_the_commit),
		cmocka_unit_test(strangers_leave),
	};

	log_level = LOG_SILENT; /* they are let go with complaints */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
