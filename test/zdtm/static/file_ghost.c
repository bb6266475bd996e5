// SPDX-License-Identifier: GPL-2.0-only
/* Unlinked files with contents, holes, an owner's mode and two descriptors; shared with a child. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int a, b, empty;
	char buf[256];
	struct gate g;
	struct stat st;
	pid_t pid;

	test_init(argc, argv);
	a = make_file("ghost", 100000, 1, O_RDWR);
	b = SYS(open("ghost", O_RDONLY));
	empty = SYS(open("ghost-empty", O_CREAT | O_RDWR, 0600));
	SYS(ftruncate(a, 10 * MIB));
	SYS(pwrite(a, "end", 3, 10 * MIB - 3));
	SYS(fchmod(a, 0640));
	SYS(unlink("ghost"));
	SYS(unlink("ghost-empty"));
	SYS(lseek(a, 555, SEEK_SET));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		CHECK(pwrite(a, "child", 5, 5000000) == 5, "write in the child");
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(lseek(a, 0, SEEK_SET));
	test_end(pid);
	CHECK(lseek(a, 0, SEEK_CUR) == 555 && lseek(b, 0, SEEK_CUR) == 0, "positions are %ld, %ld",
	      lseek(a, 0, SEEK_CUR), lseek(b, 0, SEEK_CUR));
	CHECK(pread(b, buf, 256, 0) == 256 && differs(buf, 256, 1) < 0, "the contents differ");
	CHECK(pread(b, buf, 5, 5000000) == 5 && !memcmp(buf, "child", 5),
	      "it is not one file for parent and child");
	CHECK(pread(b, buf, 3, 10 * MIB - 3) == 3 && !memcmp(buf, "end", 3), "the end differs");
	CHECK(!fstat(a, &st) && st.st_nlink == 0 && st.st_size == (off_t)(10 * MIB) &&
		      (st.st_mode & 07777) == 0640 && st.st_uid == geteuid(),
	      "links %lu, size %ld, mode %o, uid %u", st.st_nlink, st.st_size, st.st_mode & 07777,
	      st.st_uid);
	CHECK(st.st_blocks * 512 < 2 * (long)MIB, "holes have been filled: %ld blocks",
	      st.st_blocks);
	CHECK(!fstat(empty, &st) && !st.st_size && !st.st_nlink,
	      "the empty file has %ld bytes, %lu links", st.st_size, st.st_nlink);
	CHECK(access("ghost", F_OK) && access("ghost-empty", F_OK), "a ghost has a name");
	pass();
}
