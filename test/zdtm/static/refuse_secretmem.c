// SPDX-License-Identifier: GPL-2.0-only
/* Memory that not even the kernel can read (memfd_secret(2)): dump must name it. */
#include "zdtm.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

int main(int argc, char **argv)
{
	char *m;
	int fd;

	test_init(argc, argv);
	fd = syscall(SYS_memfd_secret, 0);
	if (fd < 0)
		skip("no secret memory");
	SYS(ftruncate(fd, PAGE));
	m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		die("mmap");
	fill(m, PAGE, 3);
	close(fd);
	test_daemon();
	test_waitsig();
	CHECK(differs(m, PAGE, 3) < 0, "it differs");
	pass();
}
