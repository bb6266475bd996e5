/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VmFlags without smaps: vma_iter.h gives the kernel's flags as a number, and what its bits mean is learned, not assumed: criu gives pages of its own each property that it
 * can, and compares the numbers with its own smaps. A bit of a task's area that was not met there, or not alone, is not guessed: then the task's smaps is read.
 */
#ifndef CRIU_MEM_VM_FLAGS_H
#define CRIU_MEM_VM_FLAGS_H

#include <stdbool.h>
#include <sys/types.h>

#include "proc/proc.h"

struct vm_flags;

/* Does the tree of ROOT have so much memory that smaps would take long? (a running tree: roughly) */
bool vm_flags_worth(pid_t root);
/* NULL: this kernel, or these privileges, do not allow it. For vm_flags_free(). */
struct vm_flags *vm_flags_learn(void);
void vm_flags_free(struct vm_flags *f);
/*
 * Calls CB for each area of PID, of which only start, end, shared and vm_flags are set; of the flags those in VM_FLAGS_KNOWN. 0; 1: they are not all
 * known (CB was not called): read smaps; or what CB returned, if not 0.
 */
int vm_flags_read(const struct vm_flags *f, pid_t pid, proc_vma_fn cb, void *arg);

/* What somebody asks for. */
#define VM_FLAGS_KNOWN                                                                             \
	(VMF_MW | VMF_MS | VMF_GD | VMF_PF | VMF_LO | VMF_IO | VMF_SR | VMF_RR | VMF_DC | VMF_NR | \
	 VMF_HT | VMF_WF | VMF_DD | VMF_HG | VMF_NH | VMF_MG | VMF_UM | VMF_UI | VMF_SS | VMF_SL | \
	 VMF_LF | VMF_DP)

#endif
