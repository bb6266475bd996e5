/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the CPU can do, as cpuinfo.img keeps it. Called by criu/cli/cpuinfo.c. Each architecture's folder has this header
 * and fills its own message of cpuinfo_entry.
 */
#ifndef CRIU_ARCH_CPUINFO_H
#define CRIU_ARCH_CPUINFO_H

#include "cpuinfo.pb-c.h"

/* --cpu-cap; criu_opts.cpu_cap */
enum cpu_cap {
	CPU_CAP_FPU = 1,  /* floating point and vector state fits */
	CPU_CAP_CPU = 2,  /* the very same CPU model and features */
	CPU_CAP_INS = 4,  /* every instruction set of the image's CPU is here */
	CPU_CAP_IMAGE = 8 /* dump writes cpuinfo.img, restore compares */
};

/* This CPU. To be freed with cpuinfo_entry__free_unpacked; NULL: logged. */
CpuinfoEntry *cpuinfo_here(void);
/* Can what ran on IMAGE's CPU go on here, as CAPS demand? -1: not, each reason logged. */
int cpuinfo_compare(const CpuinfoEntry *image, const CpuinfoEntry *here, unsigned caps);

#endif
