/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --action-script and its RPC counterpart (notify): called by the stories at their stages, from cli/action.c.
 */
#ifndef CRIU_UTIL_ACTION_H
#define CRIU_UTIL_ACTION_H

#include <sys/types.h>

/*
 * Runs the script for STAGE ("pre-dump", "post-dump", "pre-restore", "post-restore", "pre-resume", "post-resume", "network-lock",
 * "network-unlock", "setup-namespaces", "post-setup-namespaces", "status-ready"), with CRTOOLS_SCRIPT_ACTION, CRTOOLS_IMAGE_DIR and, where INIT_PID is
 * not 0, CRTOOLS_INIT_PID. No script: nothing. -1: it failed, logged; the story fails with it.
 */
int action_run(const char *stage, pid_t init_pid);
/* RPC: FN is called instead of a script. It returns 0 or -1, with the reason logged. */
void action_set_notify(int (*fn)(const char *stage, pid_t init_pid));

#endif
