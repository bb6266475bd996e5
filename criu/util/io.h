/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Descriptors: reading and writing all of it, whole small files, descriptors over UNIX sockets.
 * Called by everybody. Unless said otherwise: 0 or a length on success, -1 with errno set and
 * nothing logged (the caller knows what it was doing).
 */
#ifndef CRIU_UTIL_IO_H
#define CRIU_UTIL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Reads LEN bytes, going on after EINTR and short reads. Returns LEN, or less at end of file, or -1. */
ssize_t read_full(int fd, void *buf, size_t len);
ssize_t pread_full(int fd, void *buf, size_t len, off_t off);
/* Writes all of it; 0 or -1. */
int write_full(int fd, const void *buf, size_t len);
int pwrite_full(int fd, const void *buf, size_t len, off_t off);
int writev_full(int fd, struct iovec *iov, unsigned nr); /* uses up iov */
/* LEN bytes of what the *NR elements at *IOV describe are done: moves both on, also over empty elements. */
void iov_advance(struct iovec **iov, unsigned *nr, size_t len);

/* The whole of a small file (a /proc file too), NUL-terminated, to be freed; *LEN without the NUL; NULL with errno. */
char *read_file_at(int dirfd, const char *path, size_t *len);
/* readlinkat into a fresh string. NULL with errno. */
char *readlink_at(int dirfd, const char *path);

/* The same over a stream socket; a peer that is gone is EPIPE, not a signal. recv_full() takes the FLAGS of recv(2). */
int send_full(int sock, const void *buf, size_t len);
ssize_t recv_full(int sock, void *buf, size_t len, int flags);

/* One descriptor with a byte of payload over a UNIX socket (SCM_RIGHTS, unix(7)). recv_fd: the descriptor (close-on-exec) or -1. */
int send_fd(int sock, int fd, unsigned char byte);
int recv_fd(int sock, unsigned char *byte);
/* Sends up to 253 descriptors in one message of one byte, BYTE. */
int send_fds(int sock, const int *fds, unsigned nr, unsigned char byte);

/* Copies LEN bytes from IN at *OFF (or its position where OFF is NULL) to OUT's position, in the kernel where it can. */
int copy_bytes(int in, off_t *off, int out, size_t len);
int set_nonblock(int fd, bool on);
uint64_t now_us(void); /* CLOCK_MONOTONIC, microseconds */
uint64_t now_ns(void); /* CLOCK_MONOTONIC, nanoseconds */

#endif
