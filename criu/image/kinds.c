// SPDX-License-Identifier: GPL-2.0-only
/* The table of image kinds: file names, magic numbers, messages (criu.org/Images). */
#include "image/image.h"

#include "apparmor.pb-c.h"
#include "autofs.pb-c.h"
#include "binfmt-misc.pb-c.h"
#include "bpfmap-data.pb-c.h"
#include "bpfmap-file.pb-c.h"
#include "cgroup.pb-c.h"
#include "core.pb-c.h"
#include "cpuinfo.pb-c.h"
#include "creds.pb-c.h"
#include "eventfd.pb-c.h"
#include "eventpoll.pb-c.h"
#include "ext-file.pb-c.h"
#include "fdinfo.pb-c.h"
#include "fh.pb-c.h"
#include "fifo.pb-c.h"
#include "file-lock.pb-c.h"
#include "fs.pb-c.h"
#include "fsnotify.pb-c.h"
#include "ghost-file.pb-c.h"
#include "inventory.pb-c.h"
#include "ipc-msg.pb-c.h"
#include "ipc-sem.pb-c.h"
#include "ipc-shm.pb-c.h"
#include "ipc-var.pb-c.h"
#include "memfd.pb-c.h"
#include "mm.pb-c.h"
#include "mnt.pb-c.h"
#include "netdev.pb-c.h"
#include "ns.pb-c.h"
#include "packet-sock.pb-c.h"
#include "pagemap.pb-c.h"
#include "pidfd.pb-c.h"
#include "pidns.pb-c.h"
#include "pipe-data.pb-c.h"
#include "pipe.pb-c.h"
#include "pstree.pb-c.h"
#include "regfile.pb-c.h"
#include "remap-file-path.pb-c.h"
#include "rlimit.pb-c.h"
#include "sa.pb-c.h"
#include "seccomp.pb-c.h"
#include "siginfo.pb-c.h"
#include "signalfd.pb-c.h"
#include "sk-inet.pb-c.h"
#include "sk-netlink.pb-c.h"
#include "sk-packet.pb-c.h"
#include "sk-unix.pb-c.h"
#include "stats.pb-c.h"
#include "tcp-stream.pb-c.h"
#include "timens.pb-c.h"
#include "timer.pb-c.h"
#include "timerfd.pb-c.h"
#include "tty.pb-c.h"
#include "tun.pb-c.h"
#include "userns.pb-c.h"
#include "utsns.pb-c.h"
#include "vma.pb-c.h"

const struct image_kind image_kinds[IMG_TYPES] = {
	/* name, file, magic, entry, first entry where it differs */
	[IMG_INVENTORY] = { "INVENTORY", "inventory.img", 0x58313116, &inventory_entry__descriptor,
			    NULL },
	[IMG_FDINFO] = { "FDINFO", "fdinfo-%lu.img", 0x56213732, &fdinfo_entry__descriptor, NULL },
	[IMG_PAGEMAP] = { "PAGEMAP", "pagemap-%lu.img", 0x56084025, &pagemap_entry__descriptor,
			  &pagemap_head__descriptor },
	[IMG_SHMEM_PAGEMAP] = { "SHMEM_PAGEMAP", "pagemap-shmem-%lu.img", 0x56084025,
				&pagemap_entry__descriptor, &pagemap_head__descriptor },
	[IMG_REG_FILES] = { "REG_FILES", "reg-files.img", 0x50363636, &reg_file_entry__descriptor,
			    NULL },
	[IMG_EXT_FILES] = { "EXT_FILES", "ext-files.img", 0x59255641, &ext_file_entry__descriptor,
			    NULL },
	[IMG_NS_FILES] = { "NS_FILES", "ns-files.img", 0x61394011, &ns_file_entry__descriptor,
			   NULL },
	[IMG_EVENTFD_FILE] = { "EVENTFD_FILE", "eventfd.img", 0x44523722,
			       &eventfd_file_entry__descriptor, NULL },
	[IMG_EVENTPOLL_FILE] = { "EVENTPOLL_FILE", "eventpoll.img", 0x45023858,
				 &eventpoll_file_entry__descriptor, NULL },
	[IMG_EVENTPOLL_TFD] = { "EVENTPOLL_TFD", "eventpoll-tfd.img", 0x44433746,
				&eventpoll_tfd_entry__descriptor, NULL },
	[IMG_SIGNALFD] = { "SIGNALFD", "signalfd.img", 0x57323820, &signalfd_entry__descriptor,
			   NULL },
	[IMG_INOTIFY_FILE] = { "INOTIFY_FILE", "inotify.img", 0x48424431,
			       &inotify_file_entry__descriptor, NULL },
	[IMG_INOTIFY_WD] = { "INOTIFY_WD", "inotify-wd.img", 0x54562009,
			     &inotify_wd_entry__descriptor, NULL },
	[IMG_FANOTIFY_FILE] = { "FANOTIFY_FILE", "fanotify.img", 0x55096122,
				&fanotify_file_entry__descriptor, NULL },
	[IMG_FANOTIFY_MARK] = { "FANOTIFY_MARK", "fanotify-mark.img", 0x56506035,
				&fanotify_mark_entry__descriptor, NULL },
	[IMG_CORE] = { "CORE", "core-%lu.img", 0x55053847, &core_entry__descriptor, NULL },
	[IMG_IDS] = { "IDS", "ids-%lu.img", 0x54432030, &task_kobj_ids_entry__descriptor, NULL },
	[IMG_MM] = { "MM", "mm-%lu.img", 0x57492820, &mm_entry__descriptor, NULL },
	[IMG_VMAS] = { "VMAS", "vmas-%lu.img", 0x54123737, &vma_entry__descriptor, NULL },
	[IMG_PIPES] = { "PIPES", "pipes.img", 0x56513555, &pipe_entry__descriptor, NULL },
	[IMG_PIPES_DATA] = { "PIPES_DATA", "pipes-data.img", 0x56453709,
			     &pipe_data_entry__descriptor, NULL },
	[IMG_FIFO] = { "FIFO", "fifo.img", 0x58364939, &fifo_entry__descriptor, NULL },
	[IMG_FIFO_DATA] = { "FIFO_DATA", "fifo-data.img", 0x59333054, &pipe_data_entry__descriptor,
			    NULL },
	[IMG_PSTREE] = { "PSTREE", "pstree.img", 0x50273030, &pstree_entry__descriptor, NULL },
	[IMG_SIGACT] = { "SIGACT", "sigacts-%lu.img", 0x55344201, &sa_entry__descriptor, NULL },
	[IMG_UNIXSK] = { "UNIXSK", "unixsk.img", 0x54373943, &unix_sk_entry__descriptor, NULL },
	[IMG_INETSK] = { "INETSK", "inetsk.img", 0x56443851, &inet_sk_entry__descriptor, NULL },
	[IMG_PACKETSK] = { "PACKETSK", "packetsk.img", 0x60454618, &packet_sock_entry__descriptor,
			   NULL },
	[IMG_NETLINK_SK] = { "NETLINK_SK", "netlinksk.img", 0x58005614,
			     &netlink_sk_entry__descriptor, NULL },
	[IMG_SK_QUEUES] = { "SK_QUEUES", "sk-queues.img", 0x56264026, &sk_packet_entry__descriptor,
			    NULL },
	[IMG_ITIMERS] = { "ITIMERS", "itimers-%lu.img", 0x57464056, &itimer_entry__descriptor,
			  NULL },
	[IMG_POSIX_TIMERS] = { "POSIX_TIMERS", "posix-timers-%lu.img", 0x52603957,
			       &posix_timer_entry__descriptor, NULL },
	[IMG_CREDS] = { "CREDS", "creds-%lu.img", 0x54023547, &creds_entry__descriptor, NULL },
	[IMG_UTSNS] = { "UTSNS", "utsns-%lu.img", 0x54473203, &utsns_entry__descriptor, NULL },
	[IMG_IPC_VAR] = { "IPC_VAR", "ipcns-var-%lu.img", 0x53115007, &ipc_var_entry__descriptor,
			  NULL },
	[IMG_IPCNS_SHM] = { "IPCNS_SHM", "ipcns-shm-%lu.img", 0x46283044,
			    &ipc_shm_entry__descriptor, NULL },
	[IMG_IPCNS_MSG] = { "IPCNS_MSG", "ipcns-msg-%lu.img", 0x55453737,
			    &ipc_msg_entry__descriptor, NULL },
	[IMG_IPCNS_SEM] = { "IPCNS_SEM", "ipcns-sem-%lu.img", 0x59573019,
			    &ipc_sem_entry__descriptor, NULL },
	[IMG_FS] = { "FS", "fs-%lu.img", 0x51403912, &fs_entry__descriptor, NULL },
	[IMG_REMAP_FPATH] = { "REMAP_FPATH", "remap-fpath.img", 0x59133954,
			      &remap_file_path_entry__descriptor, NULL },
	[IMG_GHOST_FILE] = { "GHOST_FILE", "ghost-file-%lx.img", 0x52583605,
			     &ghost_file_entry__descriptor, NULL },
	[IMG_MEMFD_INODE] = { "MEMFD_INODE", "memfd.img", 0x48453499,
			      &memfd_inode_entry__descriptor, NULL },
	[IMG_TCP_STREAM] = { "TCP_STREAM", "tcp-stream-%lx.img", 0x51465506,
			     &tcp_stream_entry__descriptor, NULL },
	[IMG_MNTS] = { "MNTS", "mountpoints-%lu.img", 0x55563928, &mnt_entry__descriptor, NULL },
	[IMG_NETDEV] = { "NETDEV", "netdev-%lu.img", 0x57373951, &net_device_entry__descriptor,
			 NULL },
	[IMG_NETNS] = { "NETNS", "netns-%lu.img", 0x55933752, &netns_entry__descriptor, NULL },
	[IMG_IFADDR] = { "IFADDR", "ifaddr-%lu.img", 0x0, NULL, NULL },
	[IMG_ROUTE] = { "ROUTE", "route-%lu.img", 0x0, NULL, NULL },
	[IMG_ROUTE6] = { "ROUTE6", "route6-%lu.img", 0x0, NULL, NULL },
	[IMG_RULE] = { "RULE", "rule-%lu.img", 0x0, NULL, NULL },
	[IMG_IPTABLES] = { "IPTABLES", "iptables-%lu.img", 0x0, NULL, NULL },
	[IMG_IP6TABLES] = { "IP6TABLES", "ip6tables-%lu.img", 0x0, NULL, NULL },
	[IMG_NFTABLES] = { "NFTABLES", "nftables-%lu.img", 0x0, NULL, NULL },
	[IMG_TMPFS] = { "TMPFS_IMG", "tmpfs-%lu.tar.gz.img", 0x0, NULL, NULL },
	[IMG_TMPFS_DEV] = { "TMPFS_DEV", "tmpfs-dev-%lu.tar.gz.img", 0x0, NULL, NULL },
	[IMG_AUTOFS] = { "AUTOFS", "autofs-%lu.img", 0x49353943, &autofs_entry__descriptor, NULL },
	[IMG_BINFMT_MISC] = { "BINFMT_MISC", "binfmt-misc.img", 0x67343323,
			      &binfmt_misc_entry__descriptor, NULL },
	[IMG_TTY_FILES] = { "TTY_FILES", "tty.img", 0x59433025, &tty_file_entry__descriptor, NULL },
	[IMG_TTY_INFO] = { "TTY_INFO", "tty-info.img", 0x59453036, &tty_info_entry__descriptor,
			   NULL },
	[IMG_TTY_DATA] = { "TTY_DATA", "tty-data.img", 0x59413026, &tty_data_entry__descriptor,
			   NULL },
	[IMG_FILE_LOCKS] = { "FILE_LOCKS", "filelocks.img", 0x54323616,
			     &file_lock_entry__descriptor, NULL },
	[IMG_RLIMIT] = { "RLIMIT", "rlimit-%lu.img", 0x57113925, &rlimit_entry__descriptor, NULL },
	[IMG_PAGES] = { "PAGES", "pages-%lu.img", 0x0, NULL, NULL },
	[IMG_SIGNAL] = { "SIGNAL", "signal-s-%lu.img", 0x59255647, &signal_queue_entry__descriptor,
			 NULL },
	[IMG_PSIGNAL] = { "PSIGNAL", "signal-p-%lu.img", 0x59255647,
			  &signal_queue_entry__descriptor, NULL },
	[IMG_TUNFILE] = { "TUNFILE", "tunfile.img", 0x57143751, &tunfile_entry__descriptor, NULL },
	[IMG_CGROUP] = { "CGROUP", "cgroup.img", 0x59383330, &cgroup_entry__descriptor, NULL },
	[IMG_TIMERFD] = { "TIMERFD", "timerfd.img", 0x50493712, &timerfd_entry__descriptor, NULL },
	[IMG_CPUINFO] = { "CPUINFO", "cpuinfo.img", 0x61404013, &cpuinfo_entry__descriptor, NULL },
	[IMG_SECCOMP] = { "SECCOMP", "seccomp.img", 0x64413049, &seccomp_entry__descriptor, NULL },
	[IMG_USERNS] = { "USERNS", "userns-%lu.img", 0x55474906, &userns_entry__descriptor, NULL },
	[IMG_NETNF_CT] = { "NETNF_CT", "netns-ct-%lu.img", 0x0, NULL, NULL },
	[IMG_NETNF_EXP] = { "NETNF_EXP", "netns-exp-%lu.img", 0x0, NULL, NULL },
	[IMG_FILES] = { "FILES", "files.img", 0x56303138, &file_entry__descriptor, NULL },
	[IMG_TIMENS] = { "TIMENS", "timens-%lu.img", 0x43114433, &timens_entry__descriptor, NULL },
	[IMG_PIDNS] = { "PIDNS", "pidns-%lu.img", 0x61157326, &pidns_entry__descriptor, NULL },
	[IMG_BPFMAP_FILE] = { "BPFMAP_FILE", "bpfmap-file.img", 0x57506142,
			      &bpfmap_file_entry__descriptor, NULL },
	[IMG_BPFMAP_DATA] = { "BPFMAP_DATA", "bpfmap-data.img", 0x64324033,
			      &bpfmap_data_entry__descriptor, NULL },
	[IMG_APPARMOR] = { "APPARMOR", "apparmor.img", 0x59423047, &apparmor_entry__descriptor,
			   NULL },
	[IMG_PIDFD] = { "PIDFD", "pidfd.img", 0x54435556, &pidfd_entry__descriptor, NULL },
	[IMG_STATS] = { "STATS", "stats-%s", 0x57093306, &stats_entry__descriptor, NULL },
	[IMG_IRMAP_CACHE] = { "IRMAP_CACHE", "irmap-cache", 0x57004059,
			      &irmap_cache_entry__descriptor, NULL },
};
