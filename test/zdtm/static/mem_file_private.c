// SPDX-License-Identifier: GPL-2.0-only
/* A private file mapping: written pages are the task's, the others are the file's, also when the file changes later. */
#include "zdtm.h"

#define NR 32UL

int main(int argc, char **argv)
{
	char *mem, page[PAGE];
	unsigned long i;
	int fd;

	test_init(argc, argv);
	fd = make_file("mapped", NR * PAGE, 1, O_RDWR);
	mem = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	close(fd);
	for (i = 0; i < NR; i += 3)
		fill(mem + i * PAGE, PAGE, 100 + i);
	test_daemon();
	test_waitsig();
	SABOTAGE(mem[3 * PAGE] ^= 1);
	fd = open("mapped", O_RDWR);
	CHECK(fd >= 0, "the file is gone");
	for (i = 0; i < NR; i++) {
		CHECK(pread(fd, page, PAGE, i * PAGE) == (ssize_t)PAGE, "the file is too short");
		if (i % 3 == 0)
			CHECK(differs(mem + i * PAGE, PAGE, 100 + i) < 0,
			      "written page %lu differs", i);
		else
			CHECK(!memcmp(mem + i * PAGE, page, PAGE), "page %lu is not the file's", i);
	}
	CHECK(pread(fd, page, PAGE, 0) == (ssize_t)PAGE && differs(page, PAGE, 1) < 0,
	      "a private page has got into the file");
	memset(page, 'n', PAGE);
	CHECK(pwrite(fd, page, PAGE, PAGE) == (ssize_t)PAGE && mem[PAGE] == 'n',
	      "an unwritten page does not follow the file");
	pass();
}
