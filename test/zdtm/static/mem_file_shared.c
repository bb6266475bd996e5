// SPDX-License-Identifier: GPL-2.0-only
/* A shared file mapping, at an offset, of two processes: writes show in the file, and to the other. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char *mem, page[PAGE], *ro;
	struct gate g;
	pid_t pid;
	int fd;

	test_init(argc, argv);
	fd = make_file("mapped", 16 * PAGE, 1, O_RDWR);
	mem = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4 * PAGE);
	ro = mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED || ro == MAP_FAILED)
		die("mmap");
	close(fd);
	fill(mem, PAGE, 2);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		CHECK(differs(mem, PAGE, 2) < 0, "the child's mapping differs");
		fill(mem + PAGE, PAGE, 3);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(munmap(mem + PAGE, PAGE);
		 mem = mmap(mem + PAGE, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) -
		       PAGE);
	CHECK(differs(mem, PAGE, 2) < 0, "the mapping differs");
	test_end(pid);
	CHECK(differs(mem + PAGE, PAGE, 3) < 0, "what the child wrote does not show in the parent");
	CHECK(differs(ro + 5 * PAGE, PAGE, 3) < 0,
	      "what the child wrote does not show in the other mapping");
	fill(mem + 2 * PAGE, PAGE, 4);
	fd = open("mapped", O_RDONLY);
	CHECK(fd >= 0 && pread(fd, page, PAGE, 6 * PAGE) == (ssize_t)PAGE &&
		      differs(page, PAGE, 4) < 0,
	      "writes do not reach the file");
	CHECK(mprotect(ro, PAGE, PROT_WRITE) == 0,
	      "the mapping of the file opened for writing cannot be made writable");
	pass();
}
