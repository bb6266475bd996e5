/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guard regions (madvise(2): MADV_GUARD_INSTALL, Linux 6.13): pages that nobody may touch, although their area is readable and writable. In
 * the images such a part is an area of its own, like the one that it lies in, with VMA_GUARD. dump's mm_dump() and restore's mm_finish() use it.
 */
#ifndef CRIU_MEM_GUARD_H
#define CRIU_MEM_GUARD_H

#include "task/task.h"

/* Areas as the images have them. */
struct areas {
	VmaEntry **v;
	size_t nr, cap;
};

/* dump: the areas of T, its guard regions apart. -1 logged; areas_free() in any case. */
int areas_split(struct task *t, struct areas *a);
void areas_free(struct areas *a);

#endif
