// SPDX-License-Identifier: GPL-2.0-only
/* A memfd: name, contents, size, position, seals; mapped shared, and shared with a child. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int fd, seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	char *mem, path[64], link[128] = "", buf[8];
	struct gate g;
	struct stat st;
	pid_t pid;

	test_init(argc, argv);
	fd = SYS(memfd_create("a memory file", MFD_ALLOW_SEALING));
	SYS(ftruncate(fd, 20 * PAGE + 50));
	mem = mmap(NULL, 20 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	fill(mem, 3 * PAGE, 1);
	fill(mem + 10 * PAGE, PAGE, 2);
	SYS(fcntl(fd, F_ADD_SEALS, seals));
	SYS(lseek(fd, 12345, SEEK_SET));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		fill(mem + 5 * PAGE, PAGE, 3);
		CHECK(read(fd, buf, 5) == 5, "read in the child");
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[7] ^= 1);
	test_end(pid);
	CHECK(differs(mem, 3 * PAGE, 1) < 0 && differs(mem + 10 * PAGE, PAGE, 2) < 0 &&
		      !mem[15 * PAGE],
	      "the contents differ");
	CHECK(differs(mem + 5 * PAGE, PAGE, 3) < 0, "it is not shared with the child");
	CHECK(lseek(fd, 0, SEEK_CUR) == 12350, "the position is %ld", lseek(fd, 0, SEEK_CUR));
	CHECK(!fstat(fd, &st) && st.st_size == (off_t)(20 * PAGE + 50), "the size is %ld",
	      st.st_size);
	CHECK(fcntl(fd, F_GET_SEALS) == seals, "seals are %#x", fcntl(fd, F_GET_SEALS));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link, sizeof(link)) > 0 && strstr(link, "memfd:a memory file"),
	      "the name is %s", link);
	CHECK(pread(fd, buf, 8, 10 * PAGE) == 8, "pread");
	CHECK(differs(buf, 8, 2) < 0, "reading gives something else than the mapping");
	pass();
}
