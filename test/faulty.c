// SPDX-License-Identifier: GPL-2.0-only
/*
 * A library for LD_PRELOAD that makes a criu's day harder, within what the manual pages allow: reads and writes that do less than they were asked for,
 * calls that wait and end with EINTR, and, which is not harmless, one allocation that fails. Built by the tests.
 *
 * FAULTY=SEED:RATE	one call of RATE is short, one of RATE ends with EINTR
 * FAULTY_MALLOC=N	the Nth allocation fails
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t seed, rate, nth;
static atomic_ullong calls,
	*allocations; /* of a process and all that it forks: what fails does so once */

__attribute__((constructor)) static void begin(void)
{
	const char *io = getenv("FAULTY"), *memory = getenv("FAULTY_MALLOC");
	char exe[256] = "";

	/* only criu itself, not what it runs or is run by */
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0 || !strstr(exe, "/criu"))
		return;
	if (io)
		sscanf(io, "%lu:%lu", &seed, &rate);
	if (memory)
		allocations = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				   -1, 0);
	if (memory && allocations != MAP_FAILED)
		nth = atoll(memory);
}

static uint64_t dice(void)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + atomic_fetch_add(&calls, 1);

	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

static bool hit(void)
{
	return rate && !(dice() % rate);
}

/* A stream, a pipe or a plain file: nothing that has messages or wants one call. */
static bool divisible(int fd)
{
	int type, err = errno;
	socklen_t len = sizeof(type);
	struct stat st;
	bool ret = !fstat(fd, &st);

	if (ret && S_ISSOCK(st.st_mode))
		ret = !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM;
	else if (ret && S_ISREG(st.st_mode))
		ret = st.st_size; /* not of /proc */
	else
		ret = ret && S_ISFIFO(st.st_mode);
	errno = err;
	return ret;
}

static size_t shorter(int fd, size_t len)
{
	return len > 1 && hit() && divisible(fd) ? 1 + dice() % (len - 1) : len;
}

#define NEXT(name) ((__typeof__(&name))next(#name))
static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

#define INTERRUPTED                    \
	do {                           \
		if (hit()) {           \
			errno = EINTR; \
			return -1;     \
		}                      \
	} while (0)

ssize_t read(int fd, void *buf, size_t len)
{
	INTERRUPTED;
	return NEXT(read)(fd, buf, shorter(fd, len));
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	return read(fd, buf, len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	INTERRUPTED;
	return NEXT(write)(fd, buf, shorter(fd, len));
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	INTERRUPTED;
	return NEXT(pread)(fd, buf, shorter(fd, len), off);
}

ssize_t pread64(int fd, void *buf, size_t len, off_t off)
{
	return pread(fd, buf, len, off);
}

ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size)
{
	return pread(fd, buf, len, off);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	INTERRUPTED;
	return NEXT(pwrite)(fd, buf, shorter(fd, len), off);
}

/* The first one only, and not all of it. */
static struct iovec first(int fd, const struct iovec *iov)
{
	return (struct iovec){ iov->iov_base, shorter(fd, iov->iov_len) };
}

ssize_t readv(int fd, const struct iovec *iov, int nr)
{
	struct iovec one;

	INTERRUPTED;
	if (nr < 1 || !iov->iov_len || !hit() || !divisible(fd))
		return NEXT(readv)(fd, iov, nr);
	one = first(fd, iov);
	return NEXT(readv)(fd, &one, 1);
}

ssize_t writev(int fd, const struct iovec *iov, int nr)
{
	struct iovec one;

	INTERRUPTED;
	if (nr < 1 || !iov->iov_len || !hit() || !divisible(fd))
		return NEXT(writev)(fd, iov, nr);
	one = first(fd, iov);
	return NEXT(writev)(fd, &one, 1);
}

ssize_t preadv(int fd, const struct iovec *iov, int nr, off_t off)
{
	struct iovec one;

	INTERRUPTED;
	if (nr < 1 || !iov->iov_len || !hit() || !divisible(fd))
		return NEXT(preadv)(fd, iov, nr, off);
	one = first(fd, iov);
	return NEXT(preadv)(fd, &one, 1, off);
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (!(flags & MSG_DONTWAIT))
		INTERRUPTED;
	return NEXT(recv)(fd, buf, flags & (MSG_PEEK | MSG_WAITALL) ? len : shorter(fd, len),
			  flags);
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	return recv(fd, buf, len, flags);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	if (!(flags & MSG_DONTWAIT))
		INTERRUPTED;
	return NEXT(send)(fd, buf, shorter(fd, len), flags);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (!(flags & MSG_DONTWAIT))
		INTERRUPTED;
	return NEXT(recvmsg)(fd, msg, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct msghdr m = *msg;
	struct iovec one;

	if (!(flags & MSG_DONTWAIT))
		INTERRUPTED;
	if (m.msg_controllen || m.msg_iovlen < 1 || !m.msg_iov->iov_len || !hit() || !divisible(fd))
		return NEXT(sendmsg)(fd, msg, flags);
	one = first(fd, m.msg_iov);
	m.msg_iov = &one;
	m.msg_iovlen = 1;
	return NEXT(sendmsg)(fd, &m, flags);
}

ssize_t splice(int in, off64_t *in_off, int out, off64_t *out_off, size_t len, unsigned flags)
{
	INTERRUPTED;
	return NEXT(splice)(in, in_off, out, out_off, shorter(out, len), flags);
}

ssize_t sendfile(int out, int in, off_t *off, size_t len)
{
	INTERRUPTED;
	return NEXT(sendfile)(out, in, off, shorter(out, len));
}

ssize_t copy_file_range(int in, off64_t *in_off, int out, off64_t *out_off, size_t len,
			unsigned flags)
{
	INTERRUPTED;
	return NEXT(copy_file_range)(in, in_off, out, out_off, shorter(in, len), flags);
}

ssize_t process_vm_readv(pid_t pid, const struct iovec *to, unsigned long nr_to,
			 const struct iovec *from, unsigned long nr, unsigned long flags)
{
	return NEXT(process_vm_readv)(pid, to, nr_to, from,
				      nr > 1 && hit() ? 1 + dice() % (nr - 1) : nr, flags);
}

int poll(struct pollfd *fds, nfds_t nr, int ms)
{
	if (ms)
		INTERRUPTED;
	return NEXT(poll)(fds, nr, ms);
}

int __poll_chk(struct pollfd *fds, nfds_t nr, int ms, size_t size)
{
	return poll(fds, nr, ms);
}

int epoll_wait(int fd, struct epoll_event *ev, int nr, int ms)
{
	if (ms)
		INTERRUPTED;
	return NEXT(epoll_wait)(fd, ev, nr, ms);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	INTERRUPTED;
	return NEXT(accept4)(fd, addr, len, flags);
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	if (!(options & WNOHANG))
		INTERRUPTED;
	return NEXT(waitpid)(pid, status, options);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	if (!(options & WNOHANG))
		INTERRUPTED;
	return NEXT(waitid)(type, id, info, options);
}

/* ---- memory ---- */

extern void *__libc_malloc(size_t size), *__libc_calloc(size_t nr, size_t size),
	*__libc_realloc(void *p, size_t size);

static bool fails(void)
{
	if (!nth || atomic_fetch_add(allocations, 1) + 1 != nth)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __libc_calloc(nr, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}
