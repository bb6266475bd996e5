// SPDX-License-Identifier: GPL-2.0-only
/* epoll: several targets, their events and data, level and edge triggered, one-shot, disarmed. */
#include "zdtm.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { LEVEL, EDGE, ONESHOT, FIRED, OUT, NR };

int main(int argc, char **argv)
{
	static const uint32_t events[NR] = { EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLONESHOT,
					     EPOLLIN | EPOLLONESHOT,
					     EPOLLOUT | EPOLLET | EPOLLRDHUP };
	struct epoll_event ev, got[NR];
	int ep, fd[NR], i, n, seen;
	uint64_t one = 1;

	test_init(argc, argv);
	ep = SYS(epoll_create1(EPOLL_CLOEXEC));
	for (i = 0; i < NR; i++) {
		fd[i] = SYS(eventfd(i == OUT ? 0xfffffffffffffffe : 0, EFD_NONBLOCK));
		if (i == OUT) {
			close(fd[i]);
			fd[i] = SYS(eventfd(0, EFD_NONBLOCK));
			write_all(fd[i], &(uint64_t){ 0xfffffffffffffffe }, 8);
		}
		ev.events = events[i];
		ev.data.u64 = 0x1122334455667700 + i;
		SYS(epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &ev));
	}
	/* this one-shot has fired already */
	write_all(fd[FIRED], &one, 8);
	if (epoll_wait(ep, got, NR, 0) != 1)
		die("epoll_wait");
	test_daemon();
	test_waitsig();
	SABOTAGE(epoll_ctl(ep, EPOLL_CTL_DEL, fd[EDGE], NULL));
	CHECK(epoll_wait(ep, got, NR, 0) == 0, "an event that nothing caused: %#lx",
	      got[0].data.u64 & 0xff);
	for (i = 0; i < 3; i++)
		write_all(fd[i], &one, 8);
	n = epoll_wait(ep, got, NR, 1000);
	for (seen = i = 0; i < n; i++) {
		CHECK(got[i].data.u64 >> 8 == 0x11223344556677, "the data are %#lx",
		      got[i].data.u64);
		seen |= 1 << (got[i].data.u64 & 0xff);
	}
	CHECK(seen == (1 << LEVEL | 1 << EDGE | 1 << ONESHOT), "events of %#x", seen);
	n = epoll_wait(ep, got, NR, 0);
	CHECK(n == 1 && (got[0].data.u64 & 0xff) == LEVEL, "again %d events, the first of %#lx", n,
	      got[0].data.u64);
	CHECK(read(fd[LEVEL], &one, 8) == 8 && read(fd[OUT], &one, 8) == 8, "read");
	n = epoll_wait(ep, got, NR, 0);
	CHECK(n == 1 && (got[0].data.u64 & 0xff) == OUT && got[0].events == EPOLLOUT,
	      "writable: %d events, %#x of %#lx", n, got[0].events, got[0].data.u64);
	ev.events = EPOLLIN;
	ev.data.u64 = 9;
	CHECK(!epoll_ctl(ep, EPOLL_CTL_MOD, fd[FIRED], &ev),
	      "the disarmed one-shot is not registered");
	n = epoll_wait(ep, got, NR, 0);
	CHECK(n == 1 && got[0].data.u64 == 9, "the re-armed one-shot is silent");
	pass();
}
