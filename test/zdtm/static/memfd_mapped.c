// SPDX-License-Identifier: GPL-2.0-only
/* A memfd that is only mapped, privately and shared, its descriptor closed; and two descriptors of one, opened differently. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char *priv, *shared, path[64], c;
	int fd, ro;

	test_init(argc, argv);
	fd = SYS(memfd_create("m", 0));
	SYS(ftruncate(fd, 8 * PAGE));
	shared = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fill(shared, 8 * PAGE, 1);
	priv = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	fill(priv, PAGE, 2);
	close(fd);
	fd = SYS(memfd_create("n", MFD_CLOEXEC));
	write_all(fd, "0123456789", 10);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = SYS(open(path, O_RDONLY));
	test_daemon();
	test_waitsig();
	SABOTAGE(priv[PAGE]++);
	CHECK(differs(shared, 8 * PAGE, 1) < 0, "the shared mapping differs");
	CHECK(differs(priv, PAGE, 2) < 0, "the private page differs");
	shared[PAGE] ^= 1;
	CHECK(priv[PAGE] == shared[PAGE], "the two mappings are not of one file");
	CHECK(write(ro, "x", 1) == -1 && errno == EBADF, "the read-only descriptor can write");
	CHECK(pwrite(fd, "A", 1, 0) == 1 && read(ro, &c, 1) == 1 && c == 'A',
	      "the two descriptors are not of one file");
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(ro, F_GETFD) == 0,
	      "close-on-exec is wrong");
	pass();
}
