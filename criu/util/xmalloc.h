/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation and owners that end by themselves. Called by everybody.
 *
 * The x-functions log "out of memory" and return NULL. cleanup_free, cleanup_close and
 * cleanup_fclose declare that a local variable owns what it holds until the end of its scope;
 * move() hands it on.
 */
#ifndef CRIU_UTIL_XMALLOC_H
#define CRIU_UTIL_XMALLOC_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *xmalloc(size_t size);
void *xzalloc(size_t size);
void *xcalloc(size_t nr, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Grows *array (of *cap elements of SIZE bytes) so that index NR is valid; doubles. -1: out of memory. */
int xgrow(void *array, size_t *cap, size_t nr, size_t size);

/*
 * Allocates and initialises a protobuf-c message: PB_NEW(core->tc, task_core_entry__init). NULL: logged. A message within another one is
 * made so where it belongs, one after the other: whoever gives up frees the outer one.
 */
#define PB_NEW(field, init)                          \
	({                                           \
		(field) = xmalloc(sizeof(*(field))); \
		if (field)                           \
			init(field);                 \
		(field);                             \
	})

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}
static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
static inline void cleanup_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define cleanup_free	 __attribute__((cleanup(cleanup_freep)))
#define cleanup_close	 __attribute__((cleanup(cleanup_closep)))
#define cleanup_fclose	 __attribute__((cleanup(cleanup_fclosep)))
#define cleanup_closedir __attribute__((cleanup(cleanup_closedirp)))

#define move_ptr(p)                          \
	({                                   \
		__typeof__(p) __moved = (p); \
		(p) = NULL;                  \
		__moved;                     \
	})
#define move_fd(fd)                 \
	({                          \
		int __moved = (fd); \
		(fd) = -1;          \
		__moved;            \
	})
#define close_safe(fdp)                \
	do {                           \
		if (*(fdp) >= 0)       \
			close(*(fdp)); \
		*(fdp) = -1;           \
	} while (0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define min(a, b)                        \
	({                               \
		__typeof__(a) __a = (a); \
		__typeof__(b) __b = (b); \
		__a < __b ? __a : __b;   \
	})
#define max(a, b)                        \
	({                               \
		__typeof__(a) __a = (a); \
		__typeof__(b) __b = (b); \
		__a > __b ? __a : __b;   \
	})
/* pages of the wire protocol and of the images */
#ifndef PAGE_SIZE
#define PAGE_SIZE  4096UL
#define PAGE_SHIFT 12
#endif
#define round_down(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define round_up(x, a)	 round_down((x) + (a)-1, a)

#endif
