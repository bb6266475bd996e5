/* SPDX-License-Identifier: GPL-2.0-only */
/* What the units do with the children that they look at. */
#ifndef TEST_UNIT_CHILD_H
#define TEST_UNIT_CHILD_H

#include <sys/types.h>

/* SIGKILL, and its pid is free. Whatever it does, stopped or traced by us. */
void end_child(pid_t pid);

#endif
