// SPDX-License-Identifier: GPL-2.0-only
#include "remote/hold.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remote/trace.h"
#include "util/log.h"

int hold_begin(pid_t pid, pid_t tid)
{
	if (syscall(SYS_tgkill, pid, tid, SIGSTOP)) {
		pr_perror("Can't hold task %d", tid);
		return -1;
	}
	return trace_cont(tid, tid);
}

int hold_wait(pid_t tid, pid_t vtid)
{
	siginfo_t si;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_PID, tid, &si, WSTOPPED | WEXITED | __WALL | WNOWAIT)) {
			if (errno == EINTR && !trace_timed_out)
				continue;
			pr_perror("Can't wait for task %d", vtid);
			return -1;
		}
		if (si.si_code != CLD_TRAPPED) {
			pr_err("Task %d ended when it was about to be let go", vtid);
			return -1;
		}
		if (si.si_status == SIGSTOP)
			return 0;
		/* something that was on its way already */
		if (TEMP_FAILURE_RETRY(waitpid(tid, NULL, __WALL)) != tid || trace_cont(tid, vtid))
			return -1;
	}
}

int hold_alone(pid_t tid, pid_t vtid)
{
	if (!ptrace(PTRACE_SETOPTIONS, tid, 0, 0))
		return 0;
	pr_perror("Can't make task %d independent of criu", vtid);
	return -1;
}
