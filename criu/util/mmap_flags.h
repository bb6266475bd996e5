/* SPDX-License-Identifier: GPL-2.0-only */
/* Constants of mmap(2) and madvise(2) that the headers of an older libc lack. */
#ifndef CRIU_UTIL_MMAP_FLAGS_H
#define CRIU_UTIL_MMAP_FLAGS_H

#include <sys/mman.h>

#ifndef MAP_DROPPABLE /* Linux 6.11 */
#define MAP_DROPPABLE 0x08
#endif
#ifndef MADV_GUARD_INSTALL /* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_COLLAPSE /* Linux 6.1 */
#define MADV_COLLAPSE 25
#endif

#endif
