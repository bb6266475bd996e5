// SPDX-License-Identifier: GPL-2.0-only
/* An event loop: pipes, timer and event descriptors; each event comes once and to the right place. */
#include "zdtm.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#define NR 10

int main(int argc, char **argv)
{
	struct itimerspec it = { { 0, 1000000 }, { 0, 1000000 } };
	uint64_t sent[NR] = { 0 }, got[NR] = { 0 }, v, ticks = 0, loops = 0, seed = 3;
	struct epoll_event ev = { .events = EPOLLIN }, evs[4];
	int ep, timer, fd[NR], i, n;

	test_init(argc, argv);
	ep = SYS(epoll_create1(0));
	for (i = 0; i < NR; i++) {
		fd[i] = SYS(eventfd(0, EFD_NONBLOCK));
		ev.data.u64 = i;
		SYS(epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &ev));
	}
	timer = SYS(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	SYS(timerfd_settime(timer, 0, &it, NULL));
	ev.data.u64 = NR;
	SYS(epoll_ctl(ep, EPOLL_CTL_ADD, timer, &ev));
	test_daemon();
	do {
		i = next_random(&seed) % NR;
		v = 1 + next_random(&seed) % 1000;
		write_all(fd[i], &v, 8);
		sent[i] += v;
		SABOTAGE(sent[i]++);
		/* what was sent is there to be had, by one more look at most for each descriptor */
		for (int looks = 0; got[i] != sent[i]; looks++) {
			CHECK(looks < 50, "loop %lu: descriptor %d: got %lu of %lu", loops, i,
			      got[i], sent[i]);
			n = epoll_wait(ep, evs, 4, 1000);
			if (n < 0 && errno == EINTR)
				continue;
			CHECK(n >= 0, "epoll_wait");
			while (n-- > 0) {
				if (evs[n].data.u64 == NR) {
					if (read(timer, &v, 8) == 8)
						ticks += v;
					continue;
				}
				CHECK(evs[n].data.u64 < NR, "an event of %#lx", evs[n].data.u64);
				CHECK(read(fd[evs[n].data.u64], &v, 8) == 8,
				      "descriptor %lu is empty", evs[n].data.u64);
				got[evs[n].data.u64] += v;
			}
		}
		loops++;
	} while (test_go());
	for (n = 0; !ticks && n < 1000; n++) {
		sleep_ms(1);
		if (read(timer, &v, 8) == 8)
			ticks += v;
	}
	CHECK(ticks, "no tick in %lu loops", loops);
	pass();
}
