// SPDX-License-Identifier: GPL-2.0-only
/* An epoll in an epoll, with many targets, among them a pipe of two processes that has data already. */
#include "zdtm.h"

#include <sys/epoll.h>

#define NR 40

int main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN }, got[NR];
	int inner, outer, p[NR][2], i, n;
	struct gate g;
	pid_t pid;

	test_init(argc, argv);
	inner = SYS(epoll_create1(0));
	outer = SYS(epoll_create1(0));
	for (i = 0; i < NR; i++) {
		SYS(pipe(p[i]));
		ev.data.fd = p[i][0];
		SYS(epoll_ctl(inner, EPOLL_CTL_ADD, p[i][0], &ev));
	}
	ev.data.fd = inner;
	SYS(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &ev));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		write_all(p[17][1], "x", 1);
		_exit(0);
	}
	gate_wait(&g);
	write_all(p[3][1], "early", 5);
	test_daemon();
	test_waitsig();
	SABOTAGE(epoll_ctl(inner, EPOLL_CTL_DEL, p[17][0], NULL));
	n = epoll_wait(inner, got, NR, 0);
	CHECK(n == 1 && got[0].data.fd == p[3][0],
	      "%d events, not that of the data that were there before", n);
	read_all(p[3][0], got, 5);
	CHECK(epoll_wait(outer, got, 1, 0) == 0, "the outer one has an event");
	test_end(pid);
	n = epoll_wait(outer, got, NR, 1000);
	CHECK(n == 1 && got[0].data.fd == inner, "the outer one gives %d events", n);
	n = epoll_wait(inner, got, NR, 0);
	CHECK(n == 1 && got[0].data.fd == p[17][0], "the inner one gives %d events", n);
	pass();
}
