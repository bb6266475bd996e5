/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this kernel can do, found by doing it. One place for all: `criu check`, the RPC feature check, and every
 * room that has two ways. Each probe runs once, when it is first asked for.
 */
#ifndef CRIU_UTIL_KERNEL_H
#define CRIU_UTIL_KERNEL_H

#include <stdbool.h>

enum kernel_feature {
	K_MNT_ID,
	K_KCMP,
	K_PIDFD_GETFD,
	K_CLONE3_SET_TID,
	K_PEEKSIGINFO,
	K_PAGEMAP_SCAN,
	K_PAGEMAP_GUARD,
	K_TASK_VMA_ITER,
	K_TIMERFD,
	K_FDINFO_LOCK,
	K_TIMER_CR_IDS,
	K_RSEQ,
	K_GET_RSEQ_CONF,
	K_SECCOMP_SUSPEND,
	K_SECCOMP_FILTERS,
	K_TIMENS,
	K_UFFD,
	K_UFFD_NONCOOP,
	K_UFFD_WP_ASYNC,
	K_MEM_DIRTY_TRACK, /* some way to know which pages were written */
	K_SOFT_DIRTY,
	K_MEMBARRIER_GET_REGISTRATIONS,
	K_CAN_MAP_VDSO,
	K_AIO_REMAP,
	K_LOGINUID,
	K_CGROUPNS,
	K_USERNS,
	K_TUN,
	K_SK_NS,
	K_SK_UNIX_FILE,
	K_TCP_HALF_CLOSED,
	K_IPV6_FREEBIND,
	K_OPENAT2,
	K_MOVE_MOUNT_SET_GROUP,
	K_NETWORK_LOCK_IPTABLES,
	K_NETWORK_LOCK_NFTABLES,
	KERNEL_FEATURES
};

enum kernel_need {
	NEED_ALWAYS, /* nothing can be dumped without it */
	NEED_EXTRA,  /* lazy pages, tracking, or a kind of resource that only some tasks have */
	NEED_NEW     /* would be used where it exists */
};

struct kernel_feature_info {
	const char *name; /* as in criu check --feature */
	enum kernel_need need;
	const char *
		what; /* "page scan (ioctl PAGEMAP_SCAN, Linux 6.7)": what the user reads where it is missing */
	bool (*probe)(void);
};
extern const struct kernel_feature_info kernel_features[KERNEL_FEATURES];

bool kernel_has(enum kernel_feature f);
/* The feature of that name, or -1. */
int kernel_feature_by_name(const char *name);

#endif
