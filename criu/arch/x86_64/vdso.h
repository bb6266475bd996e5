/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vDSO's functions (vdso(7)). A task may come from a kernel with another vDSO: then the old code stays where callers expect
 * it, and each of its functions begins with a jump to the new one. Called by mem/vdso_map.c.
 */
#ifndef CRIU_ARCH_VDSO_H
#define CRIU_ARCH_VDSO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vdso_function {
	VDSO_CLOCK_GETTIME,
	VDSO_GETTIMEOFDAY,
	VDSO_TIME,
	VDSO_GETCPU,
	VDSO_CLOCK_GETRES,
	VDSO_GETRANDOM,
	VDSO_FUNCTIONS
};

struct vdso_symbols {
	size_t len; /* of the image */
	struct {
		uint32_t offset; /* from the image's begin; 0: there is no such function */
		uint32_t room;	 /* bytes until the next symbol */
	} f[VDSO_FUNCTIONS];
};

/*
 * Finds the functions in a vDSO of LEN bytes (a copy of the mapped pages; nothing in it is trusted). -1: not a vDSO that
 * we understand, logged.
 */
int vdso_parse(const void *image, size_t len, struct vdso_symbols *out);
/* Same functions at the same places: the one can stand in for the other, unless a thread is just inside of it. */
bool vdso_same_entries(const struct vdso_symbols *a, const struct vdso_symbols *b);

struct vdso_patch {
	uint64_t addr; /* in the task */
	uint8_t code[16];
	unsigned len;
};
/*
 * What to write into the old vDSO (at OLD_BASE in the task) so that its functions become those of the new one (at NEW_BASE), or, where the
 * new one has none, plain system calls. Returns the number of patches (up to VDSO_FUNCTIONS), or -1 logged: a function is too short.
 */
int vdso_plan_jumps(const struct vdso_symbols *old, uint64_t old_base,
		    const struct vdso_symbols *new, uint64_t new_base,
		    struct vdso_patch patches[VDSO_FUNCTIONS]);

#endif
