/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The userfaultfd calls that lazy restore needs, with the kernel's many ways to say "not now" sorted out (ioctl_userfaultfd(2),
 * Documentation/admin-guide/mm/userfaultfd.rst). Called by restore (open, register) and by lazy-pages (fill, wake).
 */
#ifndef CRIU_LAZY_UFFD_H
#define CRIU_LAZY_UFFD_H

#include <stdbool.h>
#include <stdint.h>

enum uffd_result {
	UFFD_OK,
	UFFD_AGAIN, /* the mappings are changing: read the events, look again where the pages belong, go on */
	UFFD_GONE,  /* the address space has ended (exit, exec) */
	UFFD_FAILED /* logged */
};

/* FD is a userfaultfd, and not something else that was handed in. */
bool uffd_is_one(int fd);
/*
 * On a userfaultfd fresh from the task: agrees with the kernel about events (fork, mremap, madvise, munmap), so that the
 * daemon can follow the task. WANT_SHMEM: missing pages of shared memory too. -1 logged.
 */
int uffd_api(int uffd, bool want_shmem);
/* Faults on missing pages of [START, START + LEN) come to UFFD. -1 logged. */
int uffd_register(int uffd, uint64_t start, uint64_t len);

/*
 * Puts NR_PAGES at DST: copies of DATA, or zeros where DATA is NULL, and wakes who waits for them. Pages that are already there are left
 * as they are, pages whose mapping is gone are skipped; both count in *DONE.
 */
enum uffd_result uffd_fill(int uffd, uint64_t dst, const void *data, uint64_t nr_pages,
			   uint64_t *done);
/* The same for one page of hugetlb, of LEN bytes: it is there afterwards as a whole, or its mapping is gone. */
enum uffd_result uffd_fill_huge(int uffd, uint64_t dst, const void *data, uint64_t len);
/* A page of zeros at DST, or the huge one around it where the area has such. */
enum uffd_result uffd_zero(int uffd, uint64_t dst);
/* Are there changes of mappings whose messages have not been read, or whose thread has not yet taken note of that? */
bool uffd_is_changing(int uffd);
/* Is the page at ADDR in a mapping that is registered with UFFD? False also where that cannot be told just now. */
bool uffd_is_registered(int uffd, uint64_t addr);
/* Is there still an address space behind it? */
bool uffd_space_lives(int uffd);
/* Lets everybody who waits in the range look again. */
void uffd_wake(int uffd, uint64_t start, uint64_t len);

#endif
