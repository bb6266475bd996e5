/* SPDX-License-Identifier: GPL-2.0-only */
/* One name per kind: for kinds.c. */
#ifndef CRIU_FILES_KINDS_H
#define CRIU_FILES_KINDS_H

#include "files/table.h"

extern const struct file_kind reg_kind, pipe_kind, fifo_kind, eventfd_kind, epoll_kind,
	timerfd_kind, signalfd_kind, inotify_kind, memfd_kind, unix_kind, inet_kind, tty_kind,
	netlink_kind, pidfd_kind;

#endif
