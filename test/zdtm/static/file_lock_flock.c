// SPDX-License-Identifier: GPL-2.0-only
/* File locks by flock(): a description's. */
#include "zdtm.h"

#include <sys/file.h>

int main(int argc, char **argv)
{
	int fd, other;
	pid_t pid;

	test_init(argc, argv);
	fd = make_file("locked", 1000, 1, O_RDWR);
	SYS(flock(fd, LOCK_EX));
	test_daemon();
	test_waitsig();
	SABOTAGE(flock(fd, LOCK_UN));
	pid = test_fork();
	if (!pid) {
		close(fd);
		other = open("locked", O_RDWR);
		CHECK(other >= 0, "open");
		errno = 0;
		CHECK(flock(other, LOCK_EX | LOCK_NB) == -1 &&
			      (errno == EWOULDBLOCK || errno == EACCES),
		      "the lock is lost");
		_exit(0);
	}
	CHECK(!test_wait(pid), "the lock is lost");
	/* and it can be given back */
	close(fd);
	other = open("locked", O_RDWR);
	errno = 0;
	CHECK(other >= 0 && !flock(other, LOCK_EX | LOCK_NB), "the lock cannot be given back");
	pass();
}
