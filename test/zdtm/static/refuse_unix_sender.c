// SPDX-License-Identifier: GPL-2.0-only
/* A message of another user waits for a receiver that asks for its sender (SO_PASSCRED): after a restore it would be root's. */
#include "zdtm.h"

#include <sys/socket.h>

int main(int argc, char **argv)
{
	char buf[16], control[CMSG_SPACE(sizeof(struct ucred))] __attribute__((aligned(8)));
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct ucred cred;
	int s[2], on = 1;
	pid_t pid;

	test_init(argc, argv);
	SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	SYS(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	pid = test_fork();
	if (!pid) {
		SYS(setresuid(1234, 1234, 1234));
		_exit(send(s[1], "hello", 5, 0) != 5);
	}
	if (test_wait(pid))
		die("send");
	test_daemon();
	test_waitsig();
	m.msg_controllen = sizeof(control);
	CHECK(recvmsg(s[0], &m, 0) == 5, "the message is gone");
	memcpy(&cred, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(cred));
	CHECK(cred.uid == 1234, "it is user %u's", cred.uid);
	pass();
}
