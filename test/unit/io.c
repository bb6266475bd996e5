// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "util/io.h"
#include "util/xmalloc.h"

static void pipe_round_trip(void **state)
{
	char buf[8] = { 0 };
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(write_full(p[1], "hello", 5), 0);
	close(p[1]);
	assert_int_equal(read_full(p[0], buf, sizeof(buf)), 5); /* short at end of file */
	assert_string_equal(buf, "hello");
	close(p[0]);
}

static void descriptor_round_trip(void **state)
{
	unsigned char byte = 0;
	int s[2], fd, got;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(send_fd(s[0], fd, 7), 0);
	got = recv_fd(s[1], &byte);
	assert_true(got >= 0 && got != fd);
	assert_int_equal(byte, 7);
	assert_int_equal(write_full(s[0], "x", 1), 0); /* no descriptor with it */
	assert_int_equal(recv_fd(s[1], &byte), -1);
	close(s[0]);
	assert_int_equal(recv_fd(s[1], &byte), -1);
	assert_int_equal(errno, ECONNRESET);
	close(s[1]), close(fd), close(got);
}

static void grow(void **state)
{
	size_t cap = 0;
	int *v = NULL;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(xgrow(&v, &cap, i, sizeof(*v)), 0);
		v[i] = i;
	}
	assert_int_equal(v[999], 999);
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipe_round_trip),
		cmocka_unit_test(descriptor_round_trip),
		cmocka_unit_test(grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
