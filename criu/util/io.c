// SPDX-License-Identifier: GPL-2.0-only
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util/xmalloc.h"

ssize_t read_full(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n)
			break;
		done += n;
	}
	return done;
}

ssize_t pread_full(int fd, void *buf, size_t len, off_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, off + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n)
			break;
		done += n;
	}
	return done;
}

int write_full(int fd, const void *buf, size_t len)
{
	struct iovec iov = { (void *)buf, len };

	return writev_full(fd, &iov, 1);
}

int pwrite_full(int fd, const void *buf, size_t len, off_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done, off + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += n;
	}
	return 0;
}

void iov_advance(struct iovec **iov, unsigned *nr, size_t len)
{
	while (*nr && len >= (*iov)->iov_len) {
		len -= (*iov)->iov_len;
		++*iov, --*nr;
	}
	if (len) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + len;
		(*iov)->iov_len -= len;
	}
}

int writev_full(int fd, struct iovec *iov, unsigned nr)
{
	iov_advance(&iov, &nr, 0);
	while (nr) {
		ssize_t n;

		n = writev(fd, iov, min(nr, (unsigned)IOV_MAX));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		iov_advance(&iov, &nr, n);
	}
	return 0;
}

char *read_file_at(int dirfd, const char *path, size_t *len)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *buf = NULL;
	size_t cap = 0, done = 0;

	if (fd < 0)
		return NULL;
	for (;;) {
		ssize_t n;

		/* many /proc files are made afresh per read: give them room at once */
		if (xgrow(&buf, &cap, done + 16384, 1))
			return NULL;
		n = read(fd, buf + done, cap - done - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return NULL;
		if (!n)
			break;
		done += n;
	}
	buf[done] = 0;
	if (len)
		*len = done;
	return move_ptr(buf);
}

char *readlink_at(int dirfd, const char *path)
{
	char buf[PATH_MAX + 64]; /* room for the kernel's " (deleted)" */
	ssize_t n = readlinkat(dirfd, path, buf, sizeof(buf) - 1);

	if (n < 0)
		return NULL;
	buf[n] = 0;
	return xstrdup(buf);
}

int send_full(int sock, const void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = TEMP_FAILURE_RETRY(
			send(sock, (const char *)buf + done, len - done, MSG_NOSIGNAL));

		if (n < 0)
			return -1;
		done += n;
	}
	return 0;
}

ssize_t recv_full(int sock, void *buf, size_t len, int flags)
{
	return TEMP_FAILURE_RETRY(recv(sock, buf, len, flags | MSG_WAITALL));
}

int send_fds(int sock, const int *fds, unsigned nr, unsigned char byte)
{
	char ctl[CMSG_SPACE(253 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl };
	struct cmsghdr *c;

	msg.msg_controllen = CMSG_SPACE(nr * sizeof(int));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(c), fds, nr * sizeof(int));
	return TEMP_FAILURE_RETRY(sendmsg(sock, &msg, MSG_NOSIGNAL)) == 1 ? 0 : -1;
}

int send_fd(int sock, int fd, unsigned char byte)
{
	char ctl[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return TEMP_FAILURE_RETRY(sendmsg(sock, &msg, MSG_NOSIGNAL)) == 1 ? 0 : -1;
}

int recv_fd(int sock, unsigned char *byte)
{
	unsigned char b;
	char ctl[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { &b, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *c;
	ssize_t n;
	int fd = -1;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		if (!n)
			errno = ECONNRESET;
		return -1;
	}
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int))) {
		/* CMSG_SPACE() rounds up: there is room for a second one, which must not stay */
		if (c && c->cmsg_type == SCM_RIGHTS)
			for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
				memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
				close(fd);
			}
		errno = EPROTO;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	if (byte)
		*byte = b;
	return fd;
}

int copy_bytes(int in, off_t *off, int out, size_t len)
{
	bool by_hand = false;

	while (len) {
		ssize_t n;

		if (!by_hand) {
			n = sendfile(out, in, off, min(len, (size_t)1 << 30));
			if (n < 0 && (errno == EINVAL || errno == ENOSYS)) {
				by_hand = true;
				continue;
			}
		} else {
			char buf[65536];

			n = off ? pread(in, buf, min(len, sizeof(buf)), *off)
				: read(in, buf, min(len, sizeof(buf)));
			if (n > 0 && write_full(out, buf, n))
				return -1;
			if (n > 0 && off)
				*off += n;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n) {
			errno = ENODATA;
			return -1;
		}
		len -= n;
	}
	return 0;
}

int set_nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	return fl < 0 ? -1 : fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

uint64_t now_us(void)
{
	return now_ns() / 1000;
}
