// SPDX-License-Identifier: GPL-2.0-only
/* lazy-pages' side of the two connections, against a server that is a socket here and does what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lazy/remote.h"
#include "lazy/space.h"
#include "lazy/uffd.h"
#include "mem/pagemap.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define START	 0x100000000ULL
#define NR_PAGES 10000

struct world {
	struct lazyd d;
	struct object *obj;
	int urgent, bulk; /* the server's ends */
};

static int socket_to(struct conn *c)
{
	int s[2];

	*c = (struct conn)CONN_INIT;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	c->fd = s[0];
	return s[1];
}

/* Every other page is lazy: a run for each. */
static struct object *make_object(void)
{
	struct pagemap *pm = calloc(1, sizeof(*pm));

	pm->pages_fd = -1;
	pm->runs = calloc(NR_PAGES, sizeof(*pm->runs));
	for (uint64_t p = 0; p < NR_PAGES; p++)
		pm->runs[pm->nr++] = (struct page_run){ .start = START + 2 * p * PAGE_SIZE,
							.nr_pages = 1,
							.flags = PE_LAZY };
	return object_new(42, pm);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct remote *r = calloc(1, sizeof(*r));

	TAILQ_INIT(&w->d.objects);
	w->d.epoll = -1;
	w->d.finished = true;
	w->d.remote = r;
	w->d.j = journal_new();
	assert_int_equal(stats_init(&w->d.st), 0);
	w->urgent = socket_to(&r->urgent.c);
	w->bulk = socket_to(&r->bulk);
	r->urgent.buf = malloc(INBOX);
	r->asks = calloc(ASKS, sizeof(*r->asks));
	r->features = PS_FEAT_BULK | PS_FEAT_COMMIT;
	r->started = true;
	w->obj = make_object();
	TAILQ_INSERT_TAIL(&w->d.objects, w->obj, link);
	*state = w;
	alarm(20);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	alarm(0);
	remote_drop(&w->d);
	object_free(w->obj);
	close(w->urgent);
	close(w->bulk);
	free(w->d.faults);
	free(w);
	return 0;
}

/* The server is busy with a push that waits until we take it: that a task has thrown pages away must not wait for that. */
static void server_does_not_listen(void **state)
{
	struct world *w = *state;

	for (uint64_t p = 0; p < NR_PAGES; p++)
		remote_unwant(&w->d, w->obj, START + 2 * p * PAGE_SIZE, 1);
}

static void *take_all(void *arg)
{
	char buf[4096];

	while (read(*(int *)arg, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

/* Very many threads fault at once: some of them wait for their turn. */
static void more_faults_than_questions(void **state)
{
	struct world *w = *state;
	struct lazyd *d = &w->d;
	struct space *sp = space_new(w->obj, 42, open("/dev/null", O_RDONLY));
	pthread_t server;

	pthread_create(&server, NULL, take_all, &w->urgent);
	d->faults = calloc(NR_PAGES, sizeof(*d->faults));
	d->faults_cap = NR_PAGES;
	while (d->nr_faults < NR_PAGES) {
		d->faults[d->nr_faults] = (struct fault){ sp, START + 2 * d->nr_faults * PAGE_SIZE,
							  1 };
		d->nr_faults++;
	}
	assert_int_equal(faults_answer(d), 0);
	assert_in_range(d->nr_faults, 1, NR_PAGES - 1);
	assert_int_equal(d->remote->nr + d->nr_faults, NR_PAGES);
	shutdown(d->remote->urgent.c.fd, SHUT_WR);
	pthread_join(server, NULL);
}

/* What is asked for beside a fault is no fault, whatever the answer. */
static void under_way(void **state)
{
	struct world *w = *state;
	struct ps_msg m = { .cmd = PS_ADD_F, .len = PS_UNDERWAY, .vaddr = START };

	m.dst_id = w->obj->dst_id;
	assert_int_equal(remote_fetch(&w->d, w->obj, START, 1), 0);
	assert_int_equal(remote_ask(&w->d, w->obj, START, 1, now_ns()), 0);
	assert_int_equal(remote_flush(&w->d), 0);
	assert_int_equal(write(w->urgent, &m, sizeof(m)), sizeof(m));
	assert_int_equal(remote_urgent(&w->d), 0);
	assert_int_equal(w->d.st.underway_faults, 0);
	assert_int_equal(write(w->urgent, &m, sizeof(m)), sizeof(m));
	assert_int_equal(remote_urgent(&w->d), 0);
	assert_int_equal(w->d.st.underway_faults, 1);
	assert_false(remote_waiting(&w->d));
}

/* Half of a message, and then nothing: that is no connection that was closed. */
static void stalls(void **state)
{
	struct world *w = *state;
	struct conn *c = &w->d.remote->urgent.c;
	struct ps_msg m = {};

	log_level = LOG_ERROR;
	log_forget_errors();
	assert_int_equal(conn_set_timeout(c, 1), 0);
	assert_int_equal(write(w->urgent, &m, sizeof(m) / 2), sizeof(m) / 2);
	assert_int_equal(conn_recv(c, &m, sizeof(m)), -1);
	log_level = LOG_SILENT;
	assert_non_null(log_first_error());
	assert_null(strstr(log_first_error(), "closed"));
}

/*
 * A worker is killed when it has written down that an address space has ended, and has not closed it yet: nobody reads its messages any more, so the next one does.
 */
static void killed_before_the_close(void **state)
{
	struct world *w = *state;
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), other = dup(0);

	assert_true(uffd >= 0);
	w->d.restore = w->d.listener = -1;
	w->d.j->asked = true;
	journal_end(w->d.j, other); /* closed, and something else by now */
	journal_end(w->d.j, uffd);
	assert_int_equal(restore_take_over(&w->d), 0);
	assert_false(uffd_is_one(uffd));
	assert_int_equal(close(other), 0);
	close(w->d.epoll);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(server_does_not_listen, setup, teardown),
		cmocka_unit_test_setup_teardown(more_faults_than_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(stalls, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_before_the_close, setup, teardown),
	};

	log_level = LOG_SILENT;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
