// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsinit ns|uns PIDFILE UID TEST...: runs the test below an init in new namespaces (uns: a user namespace too), writes init's pid as
 * seen from here to PIDFILE and ends. Init forwards nothing: the runner signals the test itself.
 */
#include "zdtm.h"

#include <grp.h>
#include <sys/mount.h>

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("nsinit: cannot write %s", path);
	close(fd);
}

static int init(char **argv, uid_t uid)
{
	pid_t test, got;
	int status, result = 1;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("nsinit: cannot make mounts private");
	if (mount("proc", "/proc", "proc", 0, NULL))
		die("nsinit: cannot mount proc");
	setsid();
	test = fork();
	if (!test) {
		if (setsid() < 0 || (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid))))
			die("nsinit: cannot become %u", uid);
		execv(argv[0], argv);
		die("nsinit: cannot run %s", argv[0]);
	}
	while ((got = wait(&status)) > 0 || errno == EINTR)
		if (got == test)
			result = status ? 1 : 0;
	return result;
}

int main(int argc, char **argv)
{
	bool user;
	char text[32];
	pid_t pid;
	struct gate go;

	if (argc < 5)
		die("nsinit: wrong call");
	user = !strcmp(argv[1], "uns");
	gate_init(&go);
	pid = syscall(SYS_clone,
		      CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
			      (user ? CLONE_NEWUSER : 0) | SIGCHLD,
		      NULL, NULL, NULL, NULL);
	if (pid < 0)
		die("nsinit: clone");
	if (!pid) {
		gate_wait(&go);
		return init(argv + 4, atoi(argv[3]));
	}
	if (user) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		put(path, "0 20000 20000\n");
		snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
		put(path, "0 50000 20000\n");
	}
	snprintf(text, sizeof(text), "%d\n", pid);
	put(argv[2], text);
	gate_open(&go);
	return 0;
}
