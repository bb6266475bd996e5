// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors on their way over a UNIX socket: they arrive, or dump refuses. */
#include "zdtm.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
static void send_fd(int s, int fd, const char *text)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	SYS(sendmsg(s, &m, 0));
}

int main(int argc, char **argv)
{
	char control[CMSG_SPACE(sizeof(int))] = "", text[8] = "", data[8];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int s[2], file, fd;

	test_init(argc, argv);
	SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	file = make_file("passed", 100, 1, O_RDONLY);
	send_fd(s[0], file, "here");
	close(file);
	test_daemon();
	test_waitsig();
	SABOTAGE(recv(s[1], text, 8, 0));
	CHECK(recvmsg(s[1], &m, MSG_DONTWAIT) == 4 && !memcmp(text, "here", 4),
	      "the message is lost");
	CHECK(CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_RIGHTS,
	      "the descriptor is lost");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	CHECK(pread(fd, data, 8, 0) == 8 && differs(data, 8, 1) < 0,
	      "the descriptor leads elsewhere");
	pass();
}
