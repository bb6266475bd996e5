// SPDX-License-Identifier: GPL-2.0-only
#include "util/action.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "op.h"
#include "util/dirs.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

static int (*notify)(const char *stage, pid_t init_pid);

void action_set_notify(int (*fn)(const char *stage, pid_t init_pid))
{
	notify = fn;
}

static void run_child(const char *stage, pid_t init_pid)
{
	char path[PATH_MAX], link[32], pid[16];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirs.images);
	len = readlink(link, path, sizeof(path) - 1);
	if (len > 0) {
		path[len] = 0;
		setenv("CRTOOLS_IMAGE_DIR", path, 1);
	}
	setenv("CRTOOLS_SCRIPT_ACTION", stage, 1);
	snprintf(pid, sizeof(pid), "%d", init_pid);
	if (init_pid)
		setenv("CRTOOLS_INIT_PID", pid, 1);
	if (log_fd() > STDERR_FILENO)
		dup2(log_fd(), STDERR_FILENO);
	signals_release();
	/* sh runs scripts without #! too, and takes arguments behind the name, as system(3) does */
	execl("/bin/sh", "sh", "-c", opts.action_script, NULL);
	_exit(127);
}

int action_run(const char *stage, pid_t init_pid)
{
	int status;
	pid_t pid;

	if (notify && notify(stage, init_pid))
		return -1;
	if (!opts.action_script)
		return 0;
	pr_debug("Running %s for %s", opts.action_script, stage);
	pid = fork();
	if (pid < 0) {
		pr_perror("Can't fork to run the action script %s", opts.action_script);
		return -1;
	}
	if (!pid)
		run_child(stage, init_pid);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			pr_perror("Can't wait for the action script %s", opts.action_script);
			return -1;
		}
	if (!status)
		return 0;
	if (WIFSIGNALED(status))
		pr_err("The action script %s was killed by signal %d at %s", opts.action_script,
		       WTERMSIG(status), stage);
	else
		pr_err("The action script %s ended with status %d at %s", opts.action_script,
		       WEXITSTATUS(status), stage);
	return -1;
}
