// SPDX-License-Identifier: GPL-2.0-only
/* A UNIX connection whose other end is outside of the tree. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	int s[2], ready[2];
	char buf[8];
	pid_t pid;

	/* the tree is what this process's child is: the other end stays here, in its parent */
	SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	SYS(pipe(ready));
	pid = SYS(fork());
	if (pid) {
		/* becomes the test; the child, which leaves the tree by being an orphan, holds the other end */
		test_init(argc, argv);
		close(s[1]);
		close(ready[1]);
		SYS(waitpid(pid, NULL, 0));
		read_all(ready[0], buf, 1);
		close(ready[0]);
		test_daemon();
		test_waitsig();
		CHECK(send(s[0], "bye", 3, MSG_NOSIGNAL) == 3, "the connection is broken");
		CHECK(recv(s[0], buf, 8, 0) == 3, "the other end is gone");
		pass();
	}
	if (fork())
		_exit(0);
	close(s[0]);
	close(ready[0]);
	write_all(ready[1], "r", 1);
	close(ready[1]);
	if (recv(s[1], buf, 8, 0) == 3)
		SYS(send(s[1], buf, 3, 0));
	_exit(0);
}
