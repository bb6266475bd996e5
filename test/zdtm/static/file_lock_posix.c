// SPDX-License-Identifier: GPL-2.0-only
/* File locks by fcntl(): the process's, of a part of the file. */
#include "zdtm.h"

#include <sys/file.h>

int main(int argc, char **argv)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 50 };
	int fd, other;
	pid_t pid;

	test_init(argc, argv);
	fd = make_file("locked", 1000, 1, O_RDWR);
	SYS(fcntl(fd, F_SETLK, &l));
	test_daemon();
	test_waitsig();
	SABOTAGE(l.l_type = F_UNLCK; fcntl(fd, F_SETLK, &l); l.l_type = F_WRLCK);
	pid = test_fork();
	if (!pid) {
		close(fd);
		other = open("locked", O_RDWR);
		CHECK(other >= 0, "open");
		errno = 0;
		CHECK(fcntl(other, F_SETLK, &l) == -1 && (errno == EWOULDBLOCK || errno == EACCES),
		      "the lock is lost");
		_exit(0);
	}
	CHECK(!test_wait(pid), "the lock is lost");
	/* and it can be given back */
	close(fd);
	other = open("locked", O_RDWR);
	errno = 0;
	CHECK(other >= 0 && !fcntl(other, F_SETLK, &l), "the lock cannot be given back");
	pass();
}
