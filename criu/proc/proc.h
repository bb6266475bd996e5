/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parsers of /proc: from text to structs. Called by everybody who asks the kernel about a task. See proc(5).
 *
 * proc_parse_X() takes text that the caller owns (some write NULs into it) and knows nothing of files, so it is tested on samples;
 * proc_read_X() reads DIRFD/PATH and parses it. DIRFD is a descriptor of /proc/PID with PATH "stat" or "task/TID/stat",
 * or AT_FDCWD with a whole path. All return 0, or -1 with the error logged.
 */
#ifndef CRIU_PROC_PROC_H
#define CRIU_PROC_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* /proc/PID/stat */
struct proc_stat {
	pid_t pid;
	char comm[64]; /* kernel threads' names are longer than a task's 15 bytes */
	char state;    /* R S D Z T t X I ... */
	pid_t ppid, pgrp, session;
	uint32_t flags; /* PF_* of the kernel */
	int nice, num_threads;
	uint64_t start_time; /* clock ticks after boot */
	int exit_signal;     /* what its parent is told its end by */
	int processor;	     /* where it ran last */
	int exit_code;	     /* wait status; 0 where we may not know it */
	uint64_t start_code, end_code, start_stack, start_data, end_data, start_brk;
	uint64_t arg_start, arg_end, env_start, env_end;
};
int proc_parse_stat(const char *text, struct proc_stat *st);
int proc_read_stat(int dirfd, const char *path, struct proc_stat *st);

/* /proc/PID/status */
#define PROC_MAX_NSPID 33 /* the kernel nests pid namespaces 32 deep */
struct proc_status {
	char state;
	pid_t tracer;
	uint32_t umask;
	bool has_umask;		 /* no, for a zombie */
	uint32_t uid[4], gid[4]; /* real, effective, saved, of the file system */
	uint32_t *groups;	 /* proc_status_free() */
	unsigned nr_groups;
	pid_t nspid[PROC_MAX_NSPID]; /* from the reader's namespace inwards */
	unsigned nr_nspid;
	int threads;
	uint64_t sig_pnd, shd_pnd, sig_blk, sig_ign, sig_cgt;
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	unsigned no_new_privs, seccomp, seccomp_filters;
};
int proc_parse_status(const char *text, struct proc_status *st);
int proc_read_status(int dirfd, const char *path, struct proc_status *st);
void proc_status_free(struct proc_status *st);

/* /proc/PID/maps and smaps */
struct proc_vma {
	uint64_t start, end, pgoff; /* pgoff: bytes */
	int prot;		    /* PROT_* */
	bool shared;
	unsigned dev_major, dev_minor;
	uint64_t ino;
	char *path; /* "" where there is none; "[heap]", "/x (deleted)"; octal escapes of newlines undone. Valid in the callback */
	uint64_t vm_flags; /* of smaps: VMF_* bits; 0 from maps */
};
/* VmFlags of smaps that somebody asks for; others are not kept. */
enum proc_vm_flags {
	VMF_RD = 1 << 0,
	VMF_WR = 1 << 1,
	VMF_EX = 1 << 2,
	VMF_SH = 1 << 3,
	VMF_MR = 1 << 4, /* may read */
	VMF_MW = 1 << 5,
	VMF_ME = 1 << 6,
	VMF_MS = 1 << 7,
	VMF_GD = 1 << 8,    /* grows down */
	VMF_PF = 1 << 9,    /* pure PFN range */
	VMF_LO = 1 << 10,   /* mlocked */
	VMF_IO = 1 << 11,   /* memory mapped I/O */
	VMF_SR = 1 << 12,   /* MADV_SEQUENTIAL */
	VMF_RR = 1 << 13,   /* MADV_RANDOM */
	VMF_DC = 1 << 14,   /* MADV_DONTFORK */
	VMF_DE = 1 << 15,   /* does not expand */
	VMF_AC = 1 << 16,   /* accounted */
	VMF_NR = 1 << 17,   /* MAP_NORESERVE */
	VMF_HT = 1 << 18,   /* hugetlb */
	VMF_WF = 1 << 19,   /* MADV_WIPEONFORK */
	VMF_DD = 1 << 20,   /* MADV_DONTDUMP */
	VMF_SD = 1 << 21,   /* soft dirty */
	VMF_MM = 1 << 22,   /* mixed map */
	VMF_HG = 1 << 23,   /* MADV_HUGEPAGE */
	VMF_NH = 1 << 24,   /* MADV_NOHUGEPAGE */
	VMF_MG = 1 << 25,   /* MADV_MERGEABLE */
	VMF_UM = 1 << 26,   /* userfaultfd: missing pages */
	VMF_UW = 1 << 27,   /* userfaultfd: write protection */
	VMF_UI = 1 << 28,   /* userfaultfd: minor faults */
	VMF_SS = 1 << 29,   /* shadow stack */
	VMF_SL = 1 << 30,   /* sealed (mseal) */
	VMF_LF = 1U << 31,  /* locked, each page when it comes (MLOCK_ONFAULT) */
#define VMF_DP (1ULL << 32) /* MAP_DROPPABLE */
};
typedef int (*proc_vma_fn)(const struct proc_vma *v, void *arg);
/* Calls CB for every VMA, in order, as long as it returns 0; its other result is returned. TEXT is changed. */
int proc_parse_maps(char *text, proc_vma_fn cb, void *arg);
int proc_parse_smaps(char *text, proc_vma_fn cb, void *arg);
int proc_read_maps(int dirfd, const char *path, proc_vma_fn cb, void *arg);
int proc_read_smaps(int dirfd, const char *path, proc_vma_fn cb, void *arg);

/* /proc/PID/limits, in the order of RLIMIT_*. UINT64_MAX: unlimited. Readable where prlimit(2) is not permitted. */
#define PROC_NR_LIMITS 16
struct proc_limit {
	uint64_t cur, max;
};
int proc_parse_limits(const char *text, struct proc_limit limits[PROC_NR_LIMITS]);
int proc_read_limits(int dirfd, const char *path, struct proc_limit limits[PROC_NR_LIMITS]);

/* /proc/PID/timers: POSIX timers (timer_create(2)) */
struct proc_timer {
	int id, signo;
	uint64_t sival; /* sigev_value */
	int notify;	/* SIGEV_* as given to timer_create(), SIGEV_THREAD_ID included */
	pid_t target;	/* the process, or with SIGEV_THREAD_ID the thread, as the reader sees it */
	int clock;
};
/* *TIMERS is to be freed. */
int proc_parse_timers(const char *text, struct proc_timer **timers, size_t *nr);
int proc_read_timers(int dirfd, const char *path, struct proc_timer **timers, size_t *nr);

/* /proc/PID/task/TID/children: pids separated by blanks. *PIDS is to be freed. */
int proc_parse_children(const char *text, pid_t **pids, size_t *nr);
int proc_read_children(int dirfd, const char *path, pid_t **pids, size_t *nr);

/* /proc/PID/mountinfo. Strings point into the text, octal escapes undone. */
struct proc_mount {
	int id, parent;
	unsigned dev_major, dev_minor;
	char *root, *mountpoint, *options;
	int shared, master, propagate_from; /* peer group ids; 0: none */
	bool unbindable;
	char *fstype, *source, *super_options;
};
typedef int (*proc_mount_fn)(const struct proc_mount *m, void *arg);
/* Calls CB for every mount as long as it returns 0; its other result is returned. TEXT is changed. */
int proc_parse_mountinfo(char *text, proc_mount_fn cb, void *arg);
int proc_read_mountinfo(int dirfd, const char *path, proc_mount_fn cb, void *arg);

/* /proc/PID/timens_offsets: what the time namespace of PID's children adds to the clocks. */
struct proc_timens {
	int64_t monotonic_sec, boottime_sec;
	uint32_t monotonic_nsec, boottime_nsec;
};
int proc_parse_timens(const char *text, struct proc_timens *t);
int proc_read_timens(int dirfd, const char *path, struct proc_timens *t);

#endif
