/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uthash(3), whose default is to end the process where memory is out. Include this instead of <uthash.h>.
 *
 * After HASH_ADD() and its like hash_added(ELEMENT) says whether it is in the table; if not, that is logged, and the element still
 * belongs to its owner.
 */
#ifndef CRIU_UTIL_HASH_H
#define CRIU_UTIL_HASH_H

#include "util/xmalloc.h"

#define HASH_NONFATAL_OOM   1
#define uthash_malloc(size) xmalloc(size)
#include <uthash.h>

#define hash_added(element) ((element)->hh.tbl != NULL)

#endif
