// SPDX-License-Identifier: GPL-2.0-only
/* Threads sleep in many system calls: each is restarted, none returns early or with EINTR. */
#include "zdtm.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>

static int pipes[8][2], sockets[2], lock_a, lock_b;
static volatile int begun, word;
static const char *names[] = { "read",	"poll",	 "select",  "recv",
			       "futex", "flock", "pselect", "write" };
static int result[8], error[8];

static void *thread(void *arg)
{
	struct pollfd pfd;
	long n = (long)arg;
	char c[4096] = "";
	fd_set set;
	int fd = pipes[n][0];

	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	FD_ZERO(&set);
	FD_SET(fd, &set);
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	errno = 0;
	switch (n) {
	case 0:
		result[n] = read(fd, c, 1);
		break;
	case 1:
		result[n] = poll(&pfd, 1, 1000000);
		break;
	case 2:
		result[n] = select(fd + 1, &set, NULL, NULL, NULL);
		break;
	case 3:
		result[n] = recv(sockets[0], c, 1, 0);
		break;
	case 4:
		result[n] = syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0) ? -1 : 1;
		break;
	case 5:
		result[n] = flock(lock_b, LOCK_EX) ? -1 : 1;
		break;
	case 6:
		result[n] = pselect(fd + 1, &set, NULL, NULL, NULL, NULL);
		break;
	case 7: /* the pipe is full but for one byte less than a page */
		result[n] = write(pipes[n][1], c, sizeof(c)) == sizeof(c) ? 1 : -1;
		break;
	}
	error[n] = result[n] == 1 ? 0 : errno;
	return NULL;
}

int main(int argc, char **argv)
{
	char full[65536] = "";
	pthread_t t[8];
	long i;

	test_init(argc, argv);
	for (i = 0; i < 8; i++)
		SYS(pipe(pipes[i]));
	write_all(pipes[7][1], full, sizeof(full));
	SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	lock_a = SYS(open("locked", O_CREAT | O_RDWR, 0644));
	lock_b = SYS(open("locked", O_RDWR));
	SYS(flock(lock_a, LOCK_EX));
	test_threads(t, 8, thread);
	AWAIT(begun == 8);
	sleep_ms(10);
	test_daemon();
	test_waitsig();
	SABOTAGE(close(pipes[1][1]); write_all(pipes[0][1], "x", 1); sleep_ms(10); result[0] = -1;
		 error[0] = EINTR);
	for (i = 0; i < 8; i++)
		CHECK(!result[i], "%s returned %d (%s)", names[i], result[i], strerror(error[i]));
	for (i = 0; i < 7; i++)
		write_all(pipes[i][1], "x", 1);
	read_all(pipes[7][0], full, sizeof(full));
	write_all(sockets[1], "x", 1);
	syscall(SYS_futex, &word, 1, 10, NULL, NULL, 0);
	flock(lock_a, LOCK_UN);
	for (i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		CHECK(result[i] == 1, "%s gave %d (%s)", names[i], result[i], strerror(error[i]));
	}
	pass();
}
