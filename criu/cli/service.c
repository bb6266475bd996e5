// SPDX-License-Identifier: GPL-2.0-only
/* service: accepts clients and gives each a worker. swrk: is the worker of whoever started it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "cli/cli.h"
#include "cli/rpc.h"
#include "lazy/ready.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define DEFAULT_SOCKET "/var/run/criu_service.socket"

static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sk = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (sk < 0 || strlen(path) >= sizeof(sa.sun_path)) {
		errno = sk < 0 ? errno : ENAMETOOLONG;
		pr_perror("Can't make a socket for %s", path);
		close_safe(&sk);
		return -1;
	}
	strcpy(sa.sun_path, path);
	if (!connect(sk, (struct sockaddr *)&sa, sizeof(sa))) {
		pr_err("Another service listens at %s: end it, or give another --address", path);
		close(sk);
		return -1;
	}
	if (errno == ECONNREFUSED)
		unlink(path); /* left by one that is gone */
	if (bind(sk, (struct sockaddr *)&sa, sizeof(sa)) || chmod(path, 0600) || listen(sk, 16)) {
		pr_perror("Can't listen at %s", path);
		close_safe(&sk);
	}
	return sk;
}

static void serve_client(int client, const sigset_t *before)
{
	pid_t pid = fork();

	if (pid < 0)
		pr_perror("Can't fork a worker");
	if (pid)
		return;
	sigprocmask(SIG_SETMASK, before, NULL);
	_exit(rpc_serve(client, false));
}

/* Until a signal asks for the end. */
static int accept_loop(int listener, int signals, const sigset_t *before)
{
	struct pollfd p[2] = { { .fd = listener, .events = POLLIN },
			       { .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo si;

	for (;;) {
		cleanup_close int client = -1;

		if (poll(p, 2, -1) < 0 && errno != EINTR) {
			pr_perror("Can't wait for clients");
			return -1;
		}
		if (p[1].revents && read(signals, &si, sizeof(si)) == sizeof(si)) {
			if (si.ssi_signo != SIGCHLD)
				return 0;
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
		}
		if (!p[0].revents)
			continue;
		client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (client >= 0)
			serve_client(client, before);
	}
}

int cmd_service(void)
{
	const char *path = opts.address ?: DEFAULT_SOCKET;
	cleanup_close int listener = listen_at(path), signals = -1;
	sigset_t set, before;
	int ret;

	if (listener < 0)
		return 1;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &before);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || server_daemonize() || server_ready()) {
		unlink(path);
		return 1;
	}
	pr_info("Listening at %s", path);
	ret = accept_loop(listener, signals, &before);
	unlink(path);
	return ret ? 1 : 0;
}

int cmd_swrk(void)
{
	const char *arg = opts.nr_args ? opts.args[0] : "";
	char *end;
	long fd = strtol(arg, &end, 10);

	if (!*arg || *end || opts.nr_args > 1 || fd < 0 || fcntl(fd, F_GETFD) < 0) {
		if (opts.nr_args != 1)
			pr_err("swrk: which descriptor? (criu swrk FD: a socket that was "
			       "inherited)");
		else
			pr_err("swrk: %s is no open descriptor (criu swrk FD)", arg);
		return 1;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return rpc_serve(fd, true);
}
