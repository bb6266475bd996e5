/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The areas of a task with the kernel's own flags, from a BPF iterator (task_vma, Linux 6.1; Documentation/bpf/bpf_iterators.rst). smaps tells the same, but
 * walks all page tables for it: 5 to 20 ms for 1 GiB, in which the task stands still. Needs CAP_BPF and CAP_PERFMON, and the kernel's types in
 * /sys/kernel/btf/vmlinux (Documentation/bpf/btf.rst). The program is 17 instructions and the types are asked for three offsets: a library for that (libbpf)
 * would need more time to start than all of it takes here (3 ms).
 */
#ifndef CRIU_UTIL_VMA_ITER_H
#define CRIU_UTIL_VMA_ITER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vma_raw {
	uint64_t start, end;
	uint64_t
		flags; /* vm_flags of the kernel: what a bit means is not part of its interface (mem/vm_flags.h) */
};

/* The loaded program as a descriptor, or -1: it cannot be had here (said with -v4). */
int vma_iter_open(void);
/* The areas of PID (of this pid namespace), in order; *V is to be freed. -1 with errno. */
int vma_iter_read(int iter, pid_t pid, struct vma_raw **v, size_t *nr);

#endif
