/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CRIU_REMOTE_RSEQ_H
#define CRIU_REMOTE_RSEQ_H

#include <sys/types.h>

#include "regs.h"

/*
 * A thread that is stopped inside a restartable sequence (rseq(2)) goes on at its abort handler: the kernel would send it
 * there, but not once the thread has run criu's stub, and not in another process. Called with the registers as found,
 * before anything else runs in the thread. 0; -1 logged.
 */
int rseq_abort(pid_t tid, struct arch_regs *regs);

#endif
