// SPDX-License-Identifier: GPL-2.0-only
/* Listening UNIX sockets, with a path and abstract; new connections get through, to the right one. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
static int listener(struct sockaddr_un *a, socklen_t len)
{
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));

	SYS(bind(fd, (void *)a, len));
	SYS(listen(fd, 4));
	return fd;
}

int main(int argc, char **argv)
{
	struct sockaddr_un a[3] = { { AF_UNIX, "listening" }, { AF_UNIX, "" }, { AF_UNIX, "" } },
			   now;
	socklen_t len[3] = { sizeof(a[0]) }, nowlen;
	int fd[3], i, c, s;
	struct stat st, after;
	char buf[8];

	test_init(argc, argv);
	len[1] = 2 + 1 + sprintf(a[1].sun_path + 1, "zdtm/%d", getpid());
	len[2] = 2 + 1 + 4;
	memcpy(a[2].sun_path, "\0\1z", 3);
	memcpy(a[2].sun_path + 3, &(short){ getpid() }, 2);
	for (i = 0; i < 3; i++)
		fd[i] = listener(&a[i], len[i]);
	SYS(chmod("listening", 0640));
	SYS(stat("listening", &st));
	test_daemon();
	test_waitsig();
	SABOTAGE(dup2(fd[2], fd[1]));
	for (i = 0; i < 3; i++) {
		nowlen = sizeof(now);
		CHECK(!getsockname(fd[i], (void *)&now, &nowlen) && (!i || nowlen == len[i]) &&
			      !memcmp(&now, &a[i], i ? len[i] : 12),
		      "the name of socket %d differs", i);
		c = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(!connect(c, (void *)&a[i], len[i]), "connect to %d", i);
		s = accept(fd[i], NULL, NULL);
		CHECK(s >= 0 && send(c, "hi", 2, 0) == 2 && recv(s, buf, 8, 0) == 2,
		      "accept from %d", i);
	}
	CHECK(!stat("listening", &after) && (after.st_mode & 07777) == 0640 &&
		      after.st_uid == st.st_uid,
	      "the socket's file has mode %o, uid %u", after.st_mode & 07777, after.st_uid);
	pass();
}
