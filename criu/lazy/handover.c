// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "op.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* The path through the descriptor: short enough for sun_path whatever the directory is called. */
static void socket_address(struct sockaddr_un *sa, int dirfd)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/" LAZY_SOCKET, dirfd);
}

int lazy_try_connect(int dirfd)
{
	cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa;

	if (sock < 0)
		return -1;
	socket_address(&sa, dirfd);
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)))
		return -1;
	return move_fd(sock);
}

int lazy_connect(struct op *op)
{
	int sock = lazy_try_connect(op->work);

	if (sock < 0)
		pr_err("Can't connect to " LAZY_SOCKET " in the work directory: %s. Start \"criu "
		       "lazy-pages\" with the same -W (or -D) first, with --page-server --address "
		       "--port where the pages are on another host",
		       strerror(errno));
	return sock;
}

static int send_pid(int sock, int32_t pid)
{
	if (!send_full(sock, &pid, sizeof(pid)))
		return 0;
	pr_perror("lazy-pages went away (see its log) when task %d was to be handed over",
		  pid < 0 ? -pid : pid);
	return -1;
}

int lazy_send_task(int sock, pid_t vpid, pid_t pid, int uffd, bool stopped)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int fds[] = { uffd, pidfd };

	if (send_pid(sock, vpid))
		return -1;
	if (send_fds(sock, fds, pidfd < 0 ? 1 : 2, stopped ? LAZY_STOPPED : 0)) {
		pr_perror("Can't hand the userfaultfd of task %d to lazy-pages", vpid);
		return -1;
	}
	return 0;
}

int lazy_send_dead(int sock, pid_t pid)
{
	return send_pid(sock, -pid);
}

/* The daemon is one of ours, which wants to know when the tasks run. */
static bool wants_word;

int lazy_finish(int sock)
{
	uint32_t word = LAZY_FINISHED;
	ssize_t n;

	if (send_full(sock, &word, sizeof(word))) {
		pr_perror("lazy-pages went away (see its log) before the tasks could run");
		return -1;
	}
	fault_kill("asked");
	n = read_full(sock, &word, sizeof(word));
	if (n == sizeof(word) && word == LAZY_FINISHED) {
		wants_word = recv(sock, &word, sizeof(word), MSG_DONTWAIT) == sizeof(word) &&
			     word == LAZY_OURS;
		return 0;
	}
	/* nothing has run here, so nothing is lost, whether the source has given the tasks up or not */
	if (!n)
		pr_err("lazy-pages went away while the source was asked to give its tasks up. If "
		       "dump "
		       "still serves them, start lazy-pages and restore again; else they go on "
		       "there");
	else
		pr_err("lazy-pages did not agree that the tasks run: see its log");
	return -1;
}

bool lazy_is_ours(void)
{
	return wants_word;
}

void lazy_released(int sock)
{
	uint32_t word = LAZY_RELEASED;

	send_full(sock, &word, sizeof(word));
}

int lazy_alone(int dirfd)
{
	cleanup_close int other = lazy_try_connect(dirfd);

	if (other < 0)
		return 0;
	pr_err("Another lazy-pages serves this work directory already: end it, or give another -W "
	       "to both lazy-pages and restore");
	return -1;
}

int lazy_listen(int dirfd)
{
	cleanup_close int sock = -1;
	struct sockaddr_un sa;
	mode_t mask;
	int ret;

	if (lazy_alone(dirfd))
		return -1;
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlinkat(dirfd, LAZY_SOCKET, 0);
	socket_address(&sa, dirfd);
	mask = umask(0177); /* only root, or whoever runs the daemon, may hand descriptors in */
	ret = sock < 0 || bind(sock, (struct sockaddr *)&sa, sizeof(sa)) || listen(sock, 1);
	umask(mask);
	if (ret) {
		pr_perror("Can't make " LAZY_SOCKET " in the work directory");
		return -1;
	}
	return move_fd(sock);
}
