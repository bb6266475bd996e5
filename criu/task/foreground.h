/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * restore --shell-job in the foreground of a terminal: while criu waits for the job that job has the terminal, as it would
 * have it from a shell. Otherwise its first read would stop it, and an interrupt key would reach criu only.
 */
#ifndef CRIU_TASK_FOREGROUND_H
#define CRIU_TASK_FOREGROUND_H

#include <sys/types.h>

/* Before the tasks run. */
void foreground_give(pid_t root);
/* Until ROOT has ended; a stop of the job is one of criu too. Its wait status. */
int foreground_wait(pid_t root);

#endif
