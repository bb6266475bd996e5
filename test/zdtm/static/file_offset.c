// SPDX-License-Identifier: GPL-2.0-only
/* Regular files: positions, open flags, contents that come after the restore. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	static const int flags[] = { O_RDONLY,
				     O_WRONLY,
				     O_RDWR,
				     O_RDWR | O_APPEND,
				     O_RDWR | O_NONBLOCK,
				     O_RDWR | O_SYNC,
				     O_RDONLY | O_NOATIME | O_LARGEFILE };
	int fd[ARRAY_LEN(flags)], now;
	char buf[16], name[16];
	unsigned i;

	test_init(argc, argv);
	for (i = 0; i < ARRAY_LEN(flags); i++) {
		snprintf(name, sizeof(name), "file%u", i);
		close(make_file(name, 10000, i, O_RDONLY));
		fd[i] = SYS(open(name, flags[i]));
		SYS(lseek(fd[i], 1000 + i * 8, SEEK_SET));
	}
	/* behind the end */
	SYS(lseek(fd[2], 1L << 33, SEEK_SET));
	test_daemon();
	test_waitsig();
	SABOTAGE(lseek(fd[5], 1, SEEK_CUR));
	for (i = 0; i < ARRAY_LEN(flags); i++) {
		off_t want = i == 2 ? 1L << 33 : 1000 + i * 8;

		CHECK(lseek(fd[i], 0, SEEK_CUR) == want, "file%u is at %ld, was at %ld", i,
		      lseek(fd[i], 0, SEEK_CUR), want);
		now = fcntl(fd[i], F_GETFL) & ~O_LARGEFILE & ~0100000;
		CHECK(now == (flags[i] & ~O_LARGEFILE & ~0100000), "file%u has flags %o, had %o", i,
		      now, flags[i]);
	}
	CHECK(read(fd[0], buf, 8) == 8, "read");
	CHECK(write(fd[1], "12345678", 8) == 8, "write");
	CHECK(write(fd[3], "append", 6) == 6 && lseek(fd[3], 0, SEEK_CUR) == 10006,
	      "O_APPEND is lost: at %ld", lseek(fd[3], 0, SEEK_CUR));
	CHECK(write(fd[0], "x", 1) == -1 && errno == EBADF, "a read-only file can be written");
	pass();
}
