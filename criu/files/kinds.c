// SPDX-License-Identifier: GPL-2.0-only
/* The table of kinds. dump takes the first one that recognises a descriptor. */
#include "files/kinds.h"

const struct file_kind *const file_kinds[] = {
	&memfd_kind, /* before files: its link looks like a path */
	&tty_kind,   /* before files: their links are paths */
	&reg_kind,     &pipe_kind,     &fifo_kind,    &eventfd_kind, &epoll_kind,
	&timerfd_kind, &signalfd_kind, &inotify_kind, &unix_kind,    &inet_kind,
	&netlink_kind, &pidfd_kind,    NULL,
};
