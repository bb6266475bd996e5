// SPDX-License-Identifier: GPL-2.0-only
/*
 * netlink(7) sockets: protocol, port id, groups. Message: netlink_sk_entry. What waits to be read is not saved: such sockets are
 * refused.
 */
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "files/kinds.h"
#include "files/socket.h"
#include "util/log.h"

#define MAX_GROUP_WORDS 32

static bool netlink_recognise(const struct fd_probe *p)
{
	int family;
	socklen_t len = sizeof(family);

	return S_ISSOCK(p->st.st_mode) && !strncmp(p->link, "socket:", 7) &&
	       !getsockopt(p->lfd, SOL_SOCKET, SO_DOMAIN, &family, &len) && family == AF_NETLINK;
}

static int dump_groups(const struct fd_probe *p, NetlinkSkEntry *e)
{
	uint32_t words[MAX_GROUP_WORDS] = { 0 };
	socklen_t len = sizeof(words);

	if (getsockopt(p->lfd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len) ||
	    len > sizeof(words)) {
		pr_perror("Can't get the groups of %s", probe_name(p));
		return -1;
	}
	e->n_groups = len / sizeof(*words);
	e->groups = xcalloc(e->n_groups + 1, sizeof(*words));
	if (!e->groups)
		return -1;
	memcpy(e->groups, words, len);
	return 0;
}

static int netlink_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	NetlinkSkEntry *e = f->entry->nlsk = NEW_MSG(NetlinkSkEntry, netlink_sk_entry);
	struct pollfd waits = { .fd = p->lfd, .events = POLLIN };
	struct sockaddr_nl own = { 0 }, peer = { 0 };
	socklen_t len = sizeof(own), peer_len = sizeof(peer);
	int proto;

	if (!e || !(e->fown = fown_dump(p)) || !(e->opts = sockopts_dump(op, p, false)) ||
	    sockopt_get(p, SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL", &proto) || dump_groups(p, e))
		return -1;
	if (poll(&waits, 1, 0) == 1 && waits.revents & POLLIN) {
		pr_err("%s: a netlink socket with messages that were not read yet is not supported",
		       probe_name(p));
		return -1;
	}
	if (getsockname(p->lfd, (struct sockaddr *)&own, &len)) {
		pr_perror("Can't get the address of %s", probe_name(p));
		return -1;
	}
	if (!getpeername(p->lfd, (struct sockaddr *)&peer, &peer_len)) {
		e->dst_portid = peer.nl_pid;
		e->dst_group = peer.nl_groups;
	}
	e->id = f->id;
	e->ino = p->st.st_ino;
	e->protocol = proto;
	e->state = 7; /* as the kernel tells of one that is not connected */
	e->flags = p->flags;
	e->portid = own.nl_pid;
	e->has_ns_id = socket_ns_id(p->task, &e->ns_id);
	return 0;
}

static int join_groups(int fd, const NetlinkSkEntry *e)
{
	for (size_t i = 0; i < e->n_groups * 32; i++) {
		int group = i + 1;

		if (e->groups[i / 32] & 1U << i % 32 &&
		    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
			return -1;
	}
	return 0;
}

static int netlink_open(struct op *op, struct file *f)
{
	NetlinkSkEntry *e = f->entry->nlsk;
	struct sockaddr_nl own = { .nl_family = AF_NETLINK, .nl_pid = e->portid }, peer = {
		.nl_family = AF_NETLINK, .nl_pid = e->dst_portid, .nl_groups = e->dst_group
	};

	f->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, e->protocol);
	if (f->fd < 0 || (e->portid && bind(f->fd, (struct sockaddr *)&own, sizeof(own))) ||
	    join_groups(f->fd, e) ||
	    ((e->dst_portid || e->dst_group) &&
	     connect(f->fd, (struct sockaddr *)&peer, sizeof(peer)))) {
		pr_perror("Can't make a netlink socket of protocol %u with port id %u again",
			  e->protocol, e->portid);
		return -1;
	}
	sockopts_more_restore(f->fd, e->opts, "a netlink socket");
	return sockopts_restore(f->fd, e->opts, "a netlink socket")
		       ? -1
		       : fd_restore_flags(f->fd, e->flags);
}

const struct file_kind netlink_kind = {
	.name = "netlink socket",
	.type = FD_TYPES__NETLINKSK,
	.recognise = netlink_recognise,
	.dump = netlink_dump,
	.open = netlink_open,
	.finish = fown_finish,
};
