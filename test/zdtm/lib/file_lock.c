// SPDX-License-Identifier: GPL-2.0-only
#include "stories.h"

void file_lock_is_kept(int argc, char **argv, int (*lock)(int fd, bool on))
{
	int fd, other;
	pid_t pid;

	test_init(argc, argv);
	fd = make_file("locked", 1000, 1, O_RDWR);
	SYS(lock(fd, true));
	test_daemon();
	test_waitsig();
	SABOTAGE(lock(fd, false));
	pid = test_fork();
	if (!pid) {
		close(fd);
		other = open("locked", O_RDWR);
		CHECK(other >= 0, "open");
		errno = 0;
		CHECK(lock(other, true) == -1 && (errno == EWOULDBLOCK || errno == EACCES),
		      "the lock is lost");
		_exit(0);
	}
	CHECK(!test_wait(pid), "the lock is lost");
	/* and it can be given back */
	close(fd);
	other = open("locked", O_RDWR);
	errno = 0;
	CHECK(other >= 0 && !lock(other, true), "the lock cannot be given back");
	pass();
}
