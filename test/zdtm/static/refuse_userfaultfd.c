// SPDX-License-Identifier: GPL-2.0-only
/* A task that uses userfaultfd itself. */
#include "zdtm.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd;

	test_init(argc, argv);
	fd = syscall(SYS_userfaultfd, O_NONBLOCK | 1 /* UFFD_USER_MODE_ONLY */);
	if (fd < 0)
		skip("no userfaultfd");
	SYS(ioctl(fd, UFFDIO_API, &api));
	test_daemon();
	test_waitsig();
	CHECK(read(fd, &api, sizeof(api)) == -1, "it gives events");
	pass();
}
