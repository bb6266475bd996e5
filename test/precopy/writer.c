// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process with much memory that writes to it at a given rate, or what it is told, and knows what must be in every page.
 *
 *	writer STATE_FILE SIZE_MIB RATE_MIB_PER_S
 *
 * STATE_FILE is mapped (struct state): the test puts a command there and adds one to WANT; the answer is there when DONE is equal
 * to it. Tests and figures: 35-precopy.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

enum { CMD_WRITE = 1, CMD_TOUCH = 2, CMD_VERIFY = 3, CMD_RESET_GAP = 4 };

struct state {
	_Atomic uint64_t want, done, ready, bad;
	_Atomic uint64_t cmd, arg;
	_Atomic uint64_t touch_us; /* CMD_TOUCH: one write to each page, all pages */
	_Atomic uint64_t
		max_gap_us; /* between two ticks, by the wall clock: what a freeze feels like */
	_Atomic uint64_t written; /* pages at the given rate, so far */
};

static struct state *state;
static char *mem;
static uint64_t nr_pages, *versions, rng = 88172645463325252ULL;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME,
		      &t); /* goes on while frozen, whatever time namespace is restored */
	return t.tv_sec * 1000000UL + t.tv_nsec / 1000;
}

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static void fill(uint64_t page)
{
	uint64_t *p = (uint64_t *)(mem + page * PAGE), x = page * 1000003 + ++versions[page];

	for (unsigned i = 0; i < PAGE / 8; i++)
		p[i] = x += 0x9e3779b97f4a7c15ULL;
}

static void verify(void)
{
	for (uint64_t page = 0; page < nr_pages; page++) {
		uint64_t *p = (uint64_t *)(mem + page * PAGE), x = page * 1000003 + versions[page];

		for (unsigned i = 0; i < PAGE / 8; i++)
			if (p[i] != (x += 0x9e3779b97f4a7c15ULL)) {
				state->bad++;
				break;
			}
	}
}

static void touch_all(void)
{
	uint64_t start = now_us();

	for (uint64_t page = 0; page < nr_pages; page++) {
		volatile uint64_t *p = (uint64_t *)(mem + page * PAGE);

		p[5] = p[5];
	}
	state->touch_us = now_us() - start;
}

static void obey(void)
{
	switch (state->cmd) {
	case CMD_WRITE: /* ARG different pages */
		for (uint64_t i = 0, first = rnd(nr_pages); i < state->arg; i++)
			fill((first + i * 7919) % nr_pages); /* 7919 is prime and no divisor */
		break;
	case CMD_TOUCH:
		touch_all();
		break;
	case CMD_VERIFY:
		verify();
		break;
	case CMD_RESET_GAP:
		state->max_gap_us = 0;
		break;
	}
	state->done = state->want;
}

int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	uint64_t rate, last, begun, written = 0;

	if (argc < 4 || fd < 0 || ftruncate(fd, 4096))
		return 1;
	nr_pages = strtoull(argv[2], NULL, 0) * 256;
	rate = strtoull(argv[3], NULL, 0) * 256;
	state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	mem = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	versions = mmap(NULL, nr_pages * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	for (uint64_t i = 0; i < nr_pages; i++)
		fill(i);
	state->ready = 1;
	for (last = begun = now_us();;) {
		uint64_t t = now_us();

		if (t - last > state->max_gap_us)
			state->max_gap_us = t - last;
		/* what a freeze took is not made up for */
		if (t - last > 20000)
			begun += t - last;
		last = t;
		if (state->done != state->want) {
			obey();
			begun += now_us() - last;
			last = now_us();
		}
		/* no longer than 1 ms: who catches up does not stand still */
		for (uint64_t due = (t - begun) * rate / 1000000;
		     rate && written < due && now_us() < t + 1000; written++)
			fill(rnd(nr_pages));
		state->written = written;
		usleep(200);
	}
}
