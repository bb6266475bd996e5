// SPDX-License-Identifier: GPL-2.0-only
/* An io_uring instance: dump must name it and leave it unharmed. */
#include "zdtm.h"

#include <linux/io_uring.h>

int main(int argc, char **argv)
{
	struct io_uring_params params = { 0 };
	int fd;

	test_init(argc, argv);
	fd = syscall(SYS_io_uring_setup, 8, &params);
	if (fd < 0)
		skip("no io_uring");
	test_daemon();
	test_waitsig();
	CHECK(syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0) == 0,
	      "the instance does not work any more");
	pass();
}
