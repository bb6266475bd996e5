/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entry points of the commands, called by criu/cli/ and by the RPC service with the options filled in and the log open.
 * Each returns the exit status: 0, or 1 with the reason logged.
 */
#ifndef CRIU_STORIES_H
#define CRIU_STORIES_H

#include <sys/types.h>

int cmd_dump(void);	/* dump.c: opts.pid */
int cmd_pre_dump(void); /* predump.c */
/* restore.c. *ROOT_PID: the root task's pid as criu sees it (may be NULL). Without restore_detach waits for its end and returns its exit status. */
int cmd_restore(pid_t *root_pid);
int cmd_lazy_pages(void);  /* lazy/daemon.c */
int cmd_page_server(void); /* lazy/page_server.c */

#endif
