// SPDX-License-Identifier: GPL-2.0-only
/* One description under many numbers, of parent and child, beside another description of the same file. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int a, b, c, child_own;
	struct gate g;
	char buf[8];
	pid_t pid;

	test_init(argc, argv);
	a = make_file("file", 4096, 1, O_RDWR);
	b = SYS(dup(a));
	SYS(dup2(a, 777));
	SYS(fcntl(a, F_DUPFD_CLOEXEC, 900));
	c = SYS(open("file", O_RDWR));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		child_own = SYS(open("file", O_RDWR));
		close(b);
		gate_open(&g);
		test_waitsig();
		CHECK(read(777, buf, 8) == 8, "read in the child");
		CHECK(lseek(child_own, 0, SEEK_CUR) == 0, "the child's own description has moved");
		_exit(0);
	}
	gate_wait(&g);
	SYS(lseek(a, 100, SEEK_SET));
	test_daemon();
	test_waitsig();
	SABOTAGE(dup2(c, 777));
	test_end(pid);
	CHECK(lseek(a, 0, SEEK_CUR) == 108, "the parent does not share with the child: at %ld",
	      lseek(a, 0, SEEK_CUR));
	CHECK(lseek(b, 0, SEEK_CUR) == 108 && lseek(777, 0, SEEK_CUR) == 108 &&
		      lseek(900, 0, SEEK_CUR) == 108,
	      "duplicates do not share: %ld %ld %ld", lseek(b, 0, SEEK_CUR),
	      lseek(777, 0, SEEK_CUR), lseek(900, 0, SEEK_CUR));
	CHECK(lseek(c, 0, SEEK_CUR) == 0, "the other description is at %ld", lseek(c, 0, SEEK_CUR));
	CHECK(fcntl(900, F_GETFD) == FD_CLOEXEC && fcntl(777, F_GETFD) == 0,
	      "close-on-exec is wrong");
	pass();
}
