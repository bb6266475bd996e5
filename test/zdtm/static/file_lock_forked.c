// SPDX-License-Identifier: GPL-2.0-only
/* A lock by fcntl() on a description that a child, which has no lock, shares. */
#include "zdtm.h"

static bool is_locked(int fd, pid_t *by)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 50 };

	SYS(fcntl(fd, F_GETLK, &l));
	*by = l.l_pid;
	return l.l_type != F_UNLCK;
}

int main(int argc, char **argv)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 50 };
	pid_t pid, by, parent = getpid();
	int fd;

	test_init(argc, argv);
	fd = make_file("locked", 1000, 1, O_RDWR);
	SYS(fcntl(fd, F_SETLK, &l));
	pid = test_fork();
	if (!pid) {
		test_waitsig();
		CHECK(is_locked(fd, &by), "the parent's lock is lost");
		CHECK(by == parent, "it is %d's", by);
		_exit(0);
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(l.l_type = F_UNLCK; fcntl(fd, F_SETLK, &l));
	test_end(pid);
	CHECK(!is_locked(fd, &by), "it is the child's lock");
	pass();
}
