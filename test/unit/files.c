// SPDX-License-Identifier: GPL-2.0-only
/* Open files: parsers of fdinfo, and where descriptors land. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netlink/msg.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include "files/table.h"
#include "net/diag.h"
#include "util/log.h"

static void fields(void **state)
{
	static const char text[] = "pos:\t14\nflags:\t02102002\nmnt_id:\t17\nino:\t5\n"
				   "it_value: (899, 348444562)\nsettime flags: 01\n";
	uint64_t v;

	assert_true(fdinfo_number(text, "pos", 10, &v));
	assert_int_equal(v, 14);
	assert_true(fdinfo_number(text, "flags", 8, &v)); /* not "settime flags" */
	assert_int_equal(v, 02102002);
	assert_true(fdinfo_number(text, "settime flags", 8, &v));
	assert_int_equal(v, 1);
	assert_false(fdinfo_number(text, "nt_id", 10, &v));
	assert_false(fdinfo_number("", "pos", 10, &v));
	assert_true(!strncmp(fdinfo_field(text, "it_value"), "(899", 4));
}

static void epoll_lines(void **state)
{
	EventpollTfdEntry *e = epoll_parse(
		"tfd:        8 events:       19 data: 1122334455667788  pos:3 ino:232d4b sdev:f\n");

	assert_non_null(e);
	assert_int_equal(e->tfd, 8);
	assert_int_equal(e->events, 0x19);
	assert_int_equal(e->data, 0x1122334455667788);
	assert_int_equal(e->pos, 3);
	assert_int_equal(e->inode, 0x232d4b);
	assert_int_equal(e->dev, 15);
	eventpoll_tfd_entry__free_unpacked(e, NULL);
	assert_null(epoll_parse("tfd: x events: 1"));
}

static void inotify_lines(void **state)
{
	InotifyWdEntry *e = inotify_parse(
		"inotify wd:1f ino:3c51a sdev:fe00000 mask:300 ignored_mask:0 fhandle-bytes:8 "
		"fhandle-type:1 f_handle:1ac5030000000080\n");

	assert_non_null(e);
	assert_int_equal(e->wd, 31);
	assert_int_equal(e->i_ino, 0x3c51a);
	assert_int_equal(e->s_dev, 266338304);
	assert_int_equal(e->mask, 0x300);
	assert_int_equal(e->f_handle->bytes, 8);
	assert_int_equal(e->f_handle->type, 1);
	assert_int_equal(e->f_handle->handle[0], 0x800000000003c51a);
	inotify_wd_entry__free_unpacked(e, NULL);
	/* a file system without handles */
	e = inotify_parse("inotify wd:1 ino:1 sdev:1 mask:2 ignored_mask:0 \n");
	assert_non_null(e);
	assert_int_equal(e->f_handle->bytes, 0);
	inotify_wd_entry__free_unpacked(e, NULL);
	assert_null(inotify_parse("inotify wd:1 ino:1\n"));
	/* longer than any handle */
	assert_null(inotify_parse("inotify wd:1 ino:1 sdev:1 mask:2 ignored_mask:0 "
				  "fhandle-bytes:ff fhandle-type:1 f_handle:00\n"));
}

static void lock_lines(void **state)
{
	FileLockEntry e = FILE_LOCK_ENTRY__INIT;

	assert_true(lock_parse("\t1: FLOCK  ADVISORY  READ 24240 fe:00:1449989 0 EOF\n", &e));
	assert_int_equal(e.flag, 2);
	assert_int_equal(e.type, F_RDLCK);
	assert_int_equal(e.pid, 24240);
	assert_int_equal(e.start, 0);
	assert_int_equal(e.len, 0);
	assert_true(lock_parse("\t2: POSIX  ADVISORY  WRITE 5 fe:00:7 100 199\n", &e));
	assert_int_equal(e.flag, 1);
	assert_int_equal(e.type, F_WRLCK);
	assert_int_equal(e.start, 100);
	assert_int_equal(e.len, 100);
	assert_true(lock_parse("\t3: OFDLCK ADVISORY  WRITE -1 fe:00:7 0 EOF\n", &e));
	assert_int_equal(e.flag, 1024);
	assert_false(lock_parse("\t3: LEASE  ACTIVE    WRITE 7 fe:00:7 0 EOF\n", &e));
	assert_false(lock_parse("\t", &e));
}

#define TABLE 600

/* The kernel's side: the lowest number that is free. */
static int land(const int *table, int *number)
{
	for (int n = 0; n < TABLE; n++)
		if (!table[n]) {
			*number = n;
			return 0;
		}
	return -1;
}

/* Random tables, installed in batches as install.c does; every descriptor must end at its number. */
static void landings(void **state)
{
	unsigned seed = 12345;

	for (int round = 0; round < 300; round++) {
		int table[TABLE] = { 0 }, got[TABLE], batch = 1 + rand_r(&seed) % 40, sock;
		FdinfoEntry e[200], *fds[200];
		size_t nr = 0;

		for (int n = 0; n < 500 && nr < 200; n++)
			if (rand_r(&seed) % 100 < round % 100) {
				fdinfo_entry__init(&e[nr]);
				e[nr].fd = n;
				fds[nr] = &e[nr];
				nr++;
			}
		do
			sock = rand_r(&seed) % TABLE;
		while (sock < 500);
		table[sock] = -1;
		for (size_t from = 0; from < nr; from += batch) {
			size_t now = nr - from < (size_t)batch ? nr - from : (size_t)batch;

			install_landings(fds, from, now, sock, got);
			for (size_t i = 0; i < now; i++) {
				int n = 0;

				assert_int_equal(land(table, &n), 0);
				assert_int_equal(n, got[i]);
				table[n] = from + i + 1;
			}
			for (size_t i = now; i-- > 0;) {
				int to = fds[from + i]->fd;

				if (got[i] == to)
					continue;
				assert_int_equal(table[to], 0); /* dup3 closes nothing */
				table[to] = table[got[i]];
				table[got[i]] = 0;
			}
		}
		for (size_t i = 0; i < nr; i++)
			assert_int_equal(table[fds[i]->fd], i + 1);
	}
}

static void unix_diag(void **state)
{
	struct unix_diag_msg m = { .udiag_family = AF_UNIX,
				   .udiag_type = SOCK_STREAM,
				   .udiag_state = 10,
				   .udiag_ino = 77 };
	uint32_t icons[2] = { 5, 6 };
	struct nl_msg *msg = nlmsg_alloc_simple(SOCK_DIAG_BY_FAMILY, 0);
	struct diag_socket s;

	assert_int_equal(nlmsg_append(msg, &m, sizeof(m), NLMSG_ALIGNTO), 0);
	assert_int_equal(nla_put(msg, UNIX_DIAG_NAME, 5, "\0name"), 0);
	assert_int_equal(nla_put(msg, UNIX_DIAG_ICONS, sizeof(icons), icons), 0);
	assert_int_equal(nla_put_u8(msg, UNIX_DIAG_SHUTDOWN, 1), 0);
	assert_true(diag_parse_unix(nlmsg_hdr(msg), &s));
	assert_int_equal(s.ino, 77);
	assert_int_equal(s.state, 10);
	assert_int_equal(s.shutdown, 1);
	assert_int_equal(s.name_len, 5);
	assert_memory_equal(s.name, "\0name", 5);
	assert_int_equal(s.nr_waiting, 2);
	assert_int_equal(s.waiting[1], 6);
	free(s.name), free(s.waiting);
	nlmsg_hdr(msg)->nlmsg_len = 20; /* cut short */
	assert_false(diag_parse_unix(nlmsg_hdr(msg), &s));
	nlmsg_free(msg);
}

/* A list that could not be had is not one without the socket, however often it is looked at. */
static void diag_fails(void **state)
{
	int no_namespace = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct diag *d = diag_new(no_namespace);

	log_level = LOG_SILENT;
	for (int i = 0; i < 2; i++) {
		errno = ENOENT;
		assert_null(diag_unix(d, 1));
		assert_int_not_equal(errno, ENOENT);
	}
	log_level = LOG_ERROR;
	diag_free(d);
	close(no_namespace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),	 cmocka_unit_test(epoll_lines),
		cmocka_unit_test(inotify_lines), cmocka_unit_test(lock_lines),
		cmocka_unit_test(landings),	 cmocka_unit_test(unix_diag),
		cmocka_unit_test(diag_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
