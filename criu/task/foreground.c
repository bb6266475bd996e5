// SPDX-License-Identifier: GPL-2.0-only
#include "task/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/log.h"
#include "util/opts.h"

static int tty =
	-1; /* criu's controlling terminal, opened here: standard input is handed on to the tasks */
static pid_t job; /* the process group that was given the terminal; 0: none */

static bool has_terminal(pid_t group)
{
	return tcgetpgrp(tty) == group;
}

static void set_terminal(pid_t group)
{
	sigset_t set, before;

	/* who is in the background may do so with this signal blocked */
	sigemptyset(&set);
	sigaddset(&set, SIGTTOU);
	sigprocmask(SIG_BLOCK, &set, &before);
	if (tcsetpgrp(tty, group))
		pr_warn("Can't give the terminal to process group %d: %s", group, strerror(errno));
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/*
 * A group of outside of our pid namespace has the number 0 here, as every other one of there. But who is in the background may not
 * even read nothing: EIO where SIGTTIN is blocked.
 */
static bool in_foreground(void)
{
	sigset_t set, before;
	ssize_t n;
	char c;

	if (getpgrp())
		return has_terminal(getpgrp());
	sigemptyset(&set);
	sigaddset(&set, SIGTTIN);
	sigprocmask(SIG_BLOCK, &set, &before);
	n = read(tty, &c, 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return n == 0;
}

void foreground_give(pid_t root)
{
	pid_t group = getpgid(root);

	if (!opts.shell_job || opts.restore_detach || opts.leave_stopped || group <= 0 ||
	    group == getpgrp() || getsid(root) != getsid(0))
		return;
	tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	if (!in_foreground())
		return;
	job = group;
	set_terminal(job);
}

/* As a shell's job that stops: whoever started criu goes on, and what continues criu continues the job. */
static void stop_too(void)
{
	/* Our group is one of outside of this pid namespace: it has no number here, and can't be given the terminal. As in a group
	   without a shell, a stop from the terminal is none. */
	if (!getpgrp()) {
		if (has_terminal(job))
			kill(-job, SIGCONT);
		return;
	}
	if (has_terminal(job))
		set_terminal(getpgrp());
	else if (has_terminal(getpgrp()))
		goto go_on; /* the job wanted the terminal that criu has been given meanwhile */
	kill(0, SIGTSTP);
go_on:
	if (has_terminal(getpgrp()))
		set_terminal(job);
	kill(-job, SIGCONT);
}

int foreground_wait(pid_t root)
{
	int status = 0;

	for (;;) {
		if (waitpid(root, &status, job ? WUNTRACED : 0) < 0) {
			if (errno == EINTR)
				continue;
			status = 0;
			break;
		}
		if (!WIFSTOPPED(status))
			break;
		stop_too();
	}
	if (job && has_terminal(job) && getpgrp())
		set_terminal(getpgrp());
	return status;
}
