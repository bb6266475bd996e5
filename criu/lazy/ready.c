// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/action.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

int server_daemonize(void)
{
	if (!opts.daemon_mode)
		return 0;
	if (daemon(1, 0)) {
		pr_perror("Can't go to the background");
		return -1;
	}
	return 0;
}

int status_ready(void)
{
	if (action_run("status-ready", 0))
		return -1;
	if (opts.status_fd < 0)
		return 0;
	if (write_full(opts.status_fd, "", 1)) {
		pr_perror("Can't write to descriptor %d of --status-fd", opts.status_fd);
		return -1;
	}
	close_safe(&opts.status_fd);
	return 0;
}

int server_ready(void)
{
	return write_pidfile(getpid()) || status_ready() ? -1 : 0;
}

int server_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		pr_perror("Can't make a signalfd");
	return fd;
}

void server_outlives_oom(void)
{
	cleanup_close int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write_full(fd, "-1000", 5))
		pr_debug("oom_score_adj: %s", strerror(errno));
}

void thread_answers_fast(void)
{
	struct sched_param p = { .sched_priority = 1 };

	/* without the privilege it is slower under load, no more */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p))
		setpriority(PRIO_PROCESS, syscall(SYS_gettid), -10);
}

void thread_takes_turns(void)
{
	struct { /* struct sched_attr, which glibc does not have */
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime_ns, deadline, period;
	} a = { .size = sizeof(a), .runtime_ns = 100000 };

	syscall(SYS_sched_setattr, 0, &a, 0);
}

void fair_mutex(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(m, &a);
	pthread_mutexattr_destroy(&a);
}
