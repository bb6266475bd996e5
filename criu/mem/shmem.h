/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contents of shared memory objects: memfds and anonymous shared mappings. Called by files/memfd.c, which knows the objects.
 * Images: pagemap-shmem-<shmid>.img and its pages file; "addresses" are offsets in the object.
 */
#ifndef CRIU_MEM_SHMEM_H
#define CRIU_MEM_SHMEM_H

#include <stdint.h>

/* Saves the pages of FD (readable, SIZE bytes) that exist: holes stay holes. dump --page-server: to the server. -1 logged. */
int shmem_dump(int images, int fd, uint64_t size, uint32_t shmid);
/* Puts them back into FD (readable and writable, already of SIZE bytes, empty). No pagemap: nothing to do. -1 logged. */
int shmem_restore(int images, int fd, uint64_t size, uint32_t shmid);
/*
 * A descriptor of a fresh anonymous shared object, as mmap(MAP_SHARED|MAP_ANONYMOUS) makes it ("/dev/zero (deleted)"); SIZE is rounded up
 * to pages. HUGETLB_FLAGS: MAP_HUGETLB and the size of the pages, or 0. -1 with errno: the caller may use a memfd instead.
 */
int shmem_anonymous(uint64_t size, uint32_t hugetlb_flags);

#endif
