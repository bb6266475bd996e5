// SPDX-License-Identifier: GPL-2.0-only
/*
 * What this machine allows a lazy migration at best, with nothing else in the way: UFFDIO_COPY, a fault that another thread answers from memory, TCP over
 * loopback. Nothing remote can be faster than fault + request/answer, nor than the slowest of the three throughputs. Prints "name value" lines.
 * "limits warm MIB" only touches so much memory: where a host takes free memory back, its first touch is slow, and not what is to be measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE   4096UL
#define PIECE  (1UL << 20)
#define FAULTS 20000
#define TRIPS  20000
#define BULK   (2UL << 30)

static char *page;
static double samples[FAULTS > TRIPS ? FAULTS : TRIPS];

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct percentiles {
	double p50, p99;
};

static struct percentiles print_percentiles(const char *name, int nr)
{
	qsort(samples, nr, sizeof(*samples), compare);
	printf("%s_p50_us %.1f\n%s_p99_us %.1f\n", name, samples[nr / 2], name,
	       samples[nr * 99 / 100]);
	return (struct percentiles){ samples[nr / 2], samples[nr * 99 / 100] };
}

static char *memory(size_t len)
{
	char *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		fail("mmap");
	return m;
}

static char *registered(int *uffd, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *m = memory(len);

	*uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	r.range.start = (uintptr_t)m;
	r.range.len = len;
	if (*uffd < 0 || ioctl(*uffd, UFFDIO_API, &api) || ioctl(*uffd, UFFDIO_REGISTER, &r))
		fail("userfaultfd");
	return m;
}

static int copy_in(int uffd, char *to, size_t len)
{
	struct uffdio_copy c = { .dst = (uintptr_t)to, .src = (uintptr_t)page, .len = len };

	return ioctl(uffd, UFFDIO_COPY, &c);
}

static void copy_speed(size_t piece, const char *name)
{
	size_t len = 512UL << 20;
	int uffd;
	char *m = memory(len);
	double start;

	memset(m, 1,
	       len); /* memory that was free for long is slow the first time: the host has it */
	munmap(m, len);
	m = registered(&uffd, len);
	start = now_us();
	for (size_t at = 0; at < len; at += piece)
		if (copy_in(uffd, m + at, piece))
			fail("UFFDIO_COPY");
	printf("%s_mib_s %.0f\n", name, (len >> 20) / ((now_us() - start) / 1e6));
	munmap(m, len);
	close(uffd);
}

static void *answer_faults(void *arg)
{
	int uffd = *(int *)arg;
	struct uffd_msg m;

	while (read(uffd, &m, sizeof(m)) == sizeof(m))
		if (copy_in(uffd, (char *)(m.arg.pagefault.address & ~(PAGE - 1)), PAGE) &&
		    errno != EEXIST)
			fail("UFFDIO_COPY");
	return NULL;
}

static struct percentiles fault_latency(void)
{
	int uffd;
	char *m = registered(&uffd, FAULTS * PAGE);
	pthread_t t;

	pthread_create(&t, NULL, answer_faults, &uffd);
	for (int i = 0; i < FAULTS; i++) {
		double start = now_us();

		(void)*(volatile char *)(m + i * PAGE);
		samples[i] = now_us() - start;
	}
	return print_percentiles("fault", FAULTS);
}

static int all(ssize_t (*io)(int, void *, size_t), int fd, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = io(fd, (char *)buf + done, len - done);

		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

static ssize_t put(int fd, void *buf, size_t len)
{
	return write(fd, buf, len);
}

static void serve(int listener)
{
	int c = accept(listener, NULL, NULL), on = 1;
	char ask[32], *piece = memory(PIECE);

	setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	memset(piece, 1, PIECE);
	while (!all(read, c, ask, sizeof(ask)))
		for (size_t left = ask[0] ? BULK : 32 + PAGE; left;) {
			size_t n = left < PIECE ? left : PIECE;

			if (all(put, c, piece, n))
				_exit(1);
			left -= n;
		}
	_exit(0);
}

static struct percentiles tcp(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	char ask[32] = { 0 }, *piece = memory(PIECE);
	struct percentiles trip;
	double start;
	pid_t pid;

	if (bind(listener, (void *)&sa, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&sa, &len))
		fail("listen");
	pid = fork();
	if (!pid) {
		close(c);
		serve(listener);
	}
	if (connect(c, (void *)&sa, len))
		fail("connect");
	setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (int i = 0; i < TRIPS; i++) {
		start = now_us();
		if (all(put, c, ask, sizeof(ask)) || all(read, c, piece, 32 + PAGE))
			fail("TCP");
		samples[i] = now_us() - start;
	}
	trip = print_percentiles("tcp_round_trip", TRIPS);
	ask[0] = 1;
	start = now_us();
	if (all(put, c, ask, sizeof(ask)))
		fail("TCP");
	for (size_t left = BULK; left; left -= PIECE)
		if (all(read, c, piece, PIECE))
			fail("TCP");
	printf("tcp_mib_s %.0f\n", (BULK >> 20) / ((now_us() - start) / 1e6));
	close(c);
	waitpid(pid, NULL, 0);
	return trip;
}

int main(int argc, char **argv)
{
	struct percentiles fault, trip;

	if (argc == 3 && !strcmp(argv[1], "warm")) {
		size_t len = strtoul(argv[2], NULL, 10) << 20;

		memset(memory(len), 1, len);
		return 0;
	}
	page = memory(PIECE);
	memset(page, 7, PIECE);
	copy_speed(PAGE, "copy_4k");
	copy_speed(PIECE, "copy_1m");
	fault = fault_latency();
	trip = tcp();
	printf("remote_fault_floor_us %.1f\nremote_fault_floor_p99_us %.1f\n", fault.p50 + trip.p50,
	       fault.p99 + trip.p99);
	return 0;
}
