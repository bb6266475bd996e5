// SPDX-License-Identifier: GPL-2.0-only
/* A dump's pages through a page server into images: the sink on one end, the command on the other, in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mem/sink.h"
#include "net/wire.h"
#include "stories.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/opts.h"
#include "util/xmalloc.h"

struct world {
	char path[64];
	int dir, sock;
	pid_t server;
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	int s[2];

	strcpy(w->path, "/tmp/page-server-test.XXXXXX");
	assert_non_null(mkdtemp(w->path));
	w->dir = open(w->path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	opts.status_fd = -1;
	w->server = fork();
	if (!w->server) {
		close(s[0]);
		opts.ps_socket = s[1];
		dirs.images = dirs.work = w->dir;
		_exit(cmd_page_server());
	}
	close(s[1]);
	w->sock = s[0];
	opts.page_server = true;
	opts.ps_socket = s[0];
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	close(w->dir);
	nftw(w->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(w);
	opts.page_server = false;
	return 0;
}

static int server_status(struct world *w)
{
	int status;

	assert_int_equal(waitpid(w->server, &status, 0), w->server);
	return WEXITSTATUS(status);
}

static void write_pages(int fd, unsigned nr, char fill)
{
	char *buf = malloc(nr * PAGE_SIZE);

	memset(buf, fill, nr * PAGE_SIZE);
	assert_int_equal(write_full(fd, buf, nr * PAGE_SIZE), 0);
	free(buf);
}

static void check_page(struct pagemap *pm, uint64_t vaddr, char fill)
{
	struct page_extent e;
	char c[2];

	pagemap_extent(pm, vaddr, vaddr + PAGE_SIZE, &e);
	assert_int_equal(e.where, PAGES_FILE);
	assert_int_equal(pread(e.fd, c, 1, e.off), 1);
	assert_int_equal(pread(e.fd, c + 1, 1, e.off + PAGE_SIZE - 1), 1);
	assert_int_equal(c[0], fill);
	assert_int_equal(c[1], fill);
}

static void two_objects(void **state)
{
	struct world *w = *state;
	struct page_sink s;
	struct pagemap *pm;

	assert_int_equal(sink_connect(), 0);
	assert_int_equal(sink_open(&s, -1, IMG_PAGEMAP, 5), 0);
	assert_false(sink_has_parent(&s, -1, IMG_PAGEMAP, 5));
	assert_int_equal(sink_run(&s, 0x10000, 700, PE_PRESENT), 0); /* more than one piece */
	write_pages(sink_fd(&s), 700, 'a');
	assert_int_equal(sink_run(&s, 0x1000000, 2, PE_PRESENT | PE_LAZY), 0);
	write_pages(sink_fd(&s), 2, 'b');
	assert_int_equal(sink_close(&s), 0);
	assert_int_equal(sink_open(&s, -1, IMG_SHMEM_PAGEMAP, 77), 0);
	assert_int_equal(sink_run(&s, 0, 1, PE_PRESENT), 0);
	write_pages(sink_fd(&s), 1, 'c');
	assert_int_equal(sink_close(&s), 0);
	assert_int_equal(sink_disconnect(false), 0);
	assert_int_equal(server_status(w), 0);

	pm = pagemap_open(w->dir, IMG_PAGEMAP, 5);
	assert_non_null(pm);
	assert_int_equal(pm->nr, 2);
	check_page(pm, 0x10000 + 699 * PAGE_SIZE, 'a');
	check_page(pm, 0x1001000, 'b');
	assert_int_equal(pm->runs[1].flags, PE_PRESENT | PE_LAZY);
	pagemap_close(pm);
	pm = pagemap_open(w->dir, IMG_SHMEM_PAGEMAP, 77);
	assert_non_null(pm);
	check_page(pm, 0, 'c');
	pagemap_close(pm);
}

static void failed_dump(void **state)
{
	struct page_sink s;

	assert_int_equal(sink_connect(), 0);
	assert_int_equal(sink_open(&s, -1, IMG_PAGEMAP, 5), 0);
	sink_disconnect(true);
	assert_int_equal(server_status(*state), 1);
}

static void vanished_dump(void **state)
{
	struct page_sink s;

	assert_int_equal(sink_connect(), 0);
	assert_int_equal(sink_open(&s, -1, IMG_PAGEMAP, 5), 0);
	assert_int_equal(sink_run(&s, 0x1000, 2, PE_PRESENT), 0);
	write_pages(sink_fd(&s), 1, 'a');
	shutdown(opts.ps_socket, SHUT_RDWR);
	assert_int_equal(sink_disconnect(false), -1);
	assert_int_equal(server_status(*state), 1);
}

/* Messages as bytes, as a client that means no good would send them. */
static void refused(struct world *w, const struct ps_msg *m, unsigned nr)
{
	char byte;

	for (unsigned i = 0; i < nr; i++) {
		assert_int_equal(send(w->sock, &m[i], sizeof(*m), MSG_NOSIGNAL), sizeof(*m));
		if (ps_cmd(&m[i]) == PS_OPEN2)
			assert_int_equal(read(w->sock, &byte, 1), 1);
	}
	assert_int_equal(server_status(w), 1);
	close(w->sock);
}
#define refused_msgs(w, ...)                         \
	refused(w, (struct ps_msg[]){ __VA_ARGS__ }, \
		sizeof((struct ps_msg[]){ __VA_ARGS__ }) / sizeof(struct ps_msg))

static void unknown_command(void **state)
{
	refused_msgs(*state, { .cmd = 99 });
}
static void not_open(void **state)
{
	refused_msgs(*state, { .cmd = PS_ADD, .nr_pages = 1, .dst_id = ps_id(PS_TYPE_TASK, 5) });
}
static void unknown_type(void **state)
{
	refused_msgs(*state, { .cmd = PS_OPEN, .dst_id = ps_id(9, 5) });
}
static void unsorted(void **state)
{
	uint64_t id = ps_id(PS_TYPE_TASK, 5);

	refused_msgs(*state, { .cmd = PS_OPEN2, .dst_id = id },
		     { .cmd = PS_HOLE, .vaddr = 0x2000, .nr_pages = 2, .dst_id = id },
		     { .cmd = PS_HOLE, .vaddr = 0x3000, .nr_pages = 1, .dst_id = id });
}
static void endless(void **state)
{
	uint64_t id = ps_id(PS_TYPE_TASK, 5);

	refused_msgs(
		*state, { .cmd = PS_OPEN2, .dst_id = id },
		{ .cmd = PS_HOLE, .vaddr = 0x2000, .nr_pages = ~0ULL / PAGE_SIZE, .dst_id = id });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(failed_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(vanished_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_command, setup, teardown),
		cmocka_unit_test_setup_teardown(not_open, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_type, setup, teardown),
		cmocka_unit_test_setup_teardown(unsorted, setup, teardown),
		cmocka_unit_test_setup_teardown(endless, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
