// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <sys/wait.h>

#include "test/unit/lib/child.h"

void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
