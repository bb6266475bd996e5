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

static void run_child(const char *script, const char *stage, pid_t init_pid)
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
	execl("/bin/sh", "sh", "-c", script, NULL);
	_exit(127);
}

static int run_script(const char *script, const char *stage, pid_t init_pid)
{
	int status;
	pid_t pid;

	pr_debug("Running %s for %s", script, stage);
	pid = fork();
	if (pid < 0) {
		pr_perror("Can't fork to run the action script %s", script);
		return -1;
	}
	if (!pid)
		run_child(script, stage, init_pid);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			pr_perror("Can't wait for the action script %s", script);
			return -1;
		}
	if (!status)
		return 0;
	if (WIFSIGNALED(status))
		pr_err("The action script %s was killed by signal %d at %s", script,
		       WTERMSIG(status), stage);
	else
		pr_err("The action script %s ended with status %d at %s%s", script,
		       WEXITSTATUS(status), stage,
		       WEXITSTATUS(status) == 127 ? " (not found? A relative path starts at the "
						    "work directory)"
						  : "");
	return -1;
}

int action_run(const char *stage, pid_t init_pid)
{
	if (notify && notify(stage, init_pid))
		return -1;
	for (size_t i = 0; i < opts.action_scripts.nr; i++)
		if (run_script(opts.action_scripts.v[i], stage, init_pid))
			return -1;
	return 0;
}
