// SPDX-License-Identifier: GPL-2.0-only
/* netlink sockets: port id, groups, and that questions are answered. */
#include "zdtm.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK }, now;
	struct {
		struct nlmsghdr h;
		struct rtgenmsg m;
	} req = { .h = { .nlmsg_len = sizeof(req),
			 .nlmsg_type = RTM_GETLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			 .nlmsg_seq = 5 } };
	socklen_t len = sizeof(a);
	uint32_t groups[8] = { 0 };
	char buf[16384];
	int fd, bare;

	test_init(argc, argv);
	fd = SYS(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	SYS(bind(fd, (void *)&a, sizeof(a)));
	SYS(getsockname(fd, (void *)&a, &len));
	bare = SYS(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	test_daemon();
	test_waitsig();
	SABOTAGE(close(fd); fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	len = sizeof(now);
	CHECK(!getsockname(fd, (void *)&now, &len) && now.nl_pid == a.nl_pid,
	      "the port id is %u instead of %u", now.nl_pid, a.nl_pid);
	len = sizeof(groups);
	CHECK(!getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &len) &&
		      groups[0] == RTMGRP_LINK,
	      "the groups are %#x", groups[0]);
	CHECK(send(bare, &req, sizeof(req), 0) == sizeof(req), "send");
	CHECK(recv(bare, buf, sizeof(buf), 0) > 0 &&
		      ((struct nlmsghdr *)buf)->nlmsg_type == RTM_NEWLINK,
	      "no answer");
	pass();
}
