/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of system calls, for error messages. */
#ifndef CRIU_REMOTE_SYSCALL_NAME_H
#define CRIU_REMOTE_SYSCALL_NAME_H

const char *syscall_name(long nr);

#endif
