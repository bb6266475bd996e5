/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options: one global struct, filled by criu/cli/options.c (config files, command line) or by an RPC
 * request, read everywhere. Strings belong to the struct.
 */
#ifndef CRIU_UTIL_OPTS_H
#define CRIU_UTIL_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

/* A list option: --external X --external Y. */
struct opt_list {
	char **v;
	size_t nr, cap;
};

enum pre_dump_mode { PRE_DUMP_SPLICE = 1, PRE_DUMP_READ = 2 };
enum network_lock_mode {
	NETWORK_LOCK_IPTABLES = 1,
	NETWORK_LOCK_NFTABLES = 2,
	NETWORK_LOCK_SKIP = 3
};

struct opts {
	/* common */
	char *images_dir, *work_dir, *log_file, *pidfile, *root;
	int verbosity; /* 0..4 */
	bool display_stats, log_pid, unprivileged;
	int status_fd; /* -1: none */

	/* which tasks, and what becomes of them */
	pid_t pid;
	bool leave_running, leave_stopped, restore_detach, restore_sibling, shell_job;
	unsigned timeout_s; /* 0: none. CRIU's default: 10 */
	char *freeze_cgroup;

	/* memory */
	bool lazy_pages, page_server, track_mem, auto_dedup;
	char *prev_images_dir; /* relative to images_dir */
	enum pre_dump_mode pre_dump_mode;
	char *address; /* NULL: every address */
	int port;      /* 0: the kernel picks */
	int ps_socket; /* -1: none */
	bool daemon_mode;
	char *compress;		      /* "lz4", "zstd" or NULL */
	char *report;		      /* --report FILE.html */
	unsigned reconnect_timeout_s; /* --reconnect-timeout */
	bool resume;		      /* lazy-pages --resume */
	char *spill;		      /* dump --spill DIR */

	/* files and network */
	bool ext_unix_sk, tcp_established, tcp_close, skip_in_flight, file_locks, link_remap,
		force_irmap, evasive_devices;
	bool skip_file_rwx_check, file_validation_buildid;
	uint64_t ghost_limit; /* bytes */
	enum network_lock_mode network_lock;
	struct opt_list external, inherit_fd, join_ns, skip_mnt, enable_fs, irmap_scan_paths,
		action_scripts;

	/* cgroups and security */
	int manage_cgroups; /* rpc.proto criu_cg_mode */
	struct opt_list cgroup_roots, cgroup_dump_controllers;
	char *cgroup_props, *cgroup_props_file, *cgroup_yard, *lsm_profile, *lsm_mount_context;
	bool weak_sysctls, empty_ns_net;
	unsigned cpu_cap;

	/* TLS */
	bool tls, tls_no_cn_verify, tls_psk;
	char *tls_cacert, *tls_cacrl, *tls_cert, *tls_key;

	/* what follows the options: restore's exec, cpuinfo's action, ... */
	char **args;
	int nr_args;
};

extern struct opts opts;

#endif
