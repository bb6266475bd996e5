// SPDX-License-Identifier: GPL-2.0-only
#include "util/kernel.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "util/io.h"
#include "util/log.h"
#include "util/vma_iter.h"
#include "util/xmalloc.h"

/* newer than the headers that we build with */
#ifndef PAGEMAP_SCAN
struct pm_scan_arg_v1 {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted,
		category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN_V1 _IOWR('f', 16, struct pm_scan_arg_v1)
#else
#define pm_scan_arg_v1	pm_scan_arg
#define PAGEMAP_SCAN_V1 PAGEMAP_SCAN
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif
#define PR_TIMER_IDS_GET	     77, 2
#define MEMBARRIER_GET_REGISTRATIONS (1 << 9)
#define MOVE_MOUNT_SET_GROUP_FLAG    0x100
#define SOFT_DIRTY_BIT		     (1ULL << 55)

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* Does /proc/self/fdinfo of FD have the line KEY? Closes FD. */
static bool fdinfo_has(int fd, const char *key)
{
	cleanup_free char *path = xasprintf("/proc/self/fdinfo/%d", fd), *text = NULL;

	if (fd < 0 || !path)
		return false;
	text = read_file_at(AT_FDCWD, path, NULL);
	close(fd);
	return text && strstr(text, key);
}

static bool has_mnt_id(void)
{
	return fdinfo_has(open("/", O_RDONLY | O_CLOEXEC), "mnt_id:");
}

static bool has_timerfd(void)
{
	return fdinfo_has(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "clockid:");
}

static bool has_fdinfo_lock(void)
{
	int fd = memfd_create("criu-check", MFD_CLOEXEC);
	struct flock lock = { .l_type = F_WRLCK };

	if (fd >= 0 && fcntl(fd, F_SETLK, &lock))
		close_safe(&fd);
	return fdinfo_has(fd, "lock:");
}

static bool has_kcmp(void)
{
	return !syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0);
}

static bool has_pidfd_getfd(void)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	cleanup_close int copy = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);

	return copy >= 0;
}

static pid_t clone_as(pid_t pid)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
			set_tid, set_tid_size;
	} args = { .exit_signal = SIGCHLD };

	if (pid) {
		args.set_tid = (uintptr_t)&pid;
		args.set_tid_size = 1;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		_exit(0);
	if (pid > 0)
		TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
	return pid;
}

/* Makes a child with the pid of one that has just ended; somebody else may have got it, so not only once. */
static bool has_clone3_set_tid(void)
{
	for (int i = 0; i < 5; i++) {
		pid_t first = clone_as(0);

		if (first > 0 && clone_as(first) == first)
			return true;
	}
	return false;
}

/* Runs ASK on a child that is stopped by ptrace. */
static bool ask_tracee(bool (*ask)(pid_t pid))
{
	pid_t pid = fork();
	bool ok = false;

	if (!pid)
		for (;;)
			pause();
	if (pid < 0)
		return false;
	if (!ptrace(PTRACE_SEIZE, pid, 0, 0) && !ptrace(PTRACE_INTERRUPT, pid, 0, 0) &&
	    TEMP_FAILURE_RETRY(waitpid(pid, NULL, __WALL)) == pid)
		ok = ask(pid);
	kill(pid, SIGKILL);
	TEMP_FAILURE_RETRY(waitpid(pid, NULL, __WALL));
	return ok;
}

static bool ask_peeksiginfo(pid_t pid)
{
	struct __ptrace_peeksiginfo_args args = { .nr = 1 };
	siginfo_t info;

	return ptrace(PTRACE_PEEKSIGINFO, pid, &args, &info) >= 0;
}

static bool ask_rseq_conf(pid_t pid)
{
	char conf[64];

	return ptrace(PTRACE_GET_RSEQ_CONFIGURATION, pid, 24, conf) >= 0;
}

static bool ask_seccomp_suspend(pid_t pid)
{
	return !ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_SUSPEND_SECCOMP);
}

static bool ask_seccomp_filters(pid_t pid)
{
	/* it has no filter, so a kernel that knows the request says EINVAL or ENOENT, and EIO where it does not */
	return ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, NULL) >= 0 || errno != EIO;
}

static bool has_peeksiginfo(void)
{
	return ask_tracee(ask_peeksiginfo);
}

static bool has_rseq_conf(void)
{
	return ask_tracee(ask_rseq_conf);
}

static bool has_seccomp_suspend(void)
{
	return ask_tracee(ask_seccomp_suspend);
}

static bool has_seccomp_filters(void)
{
	return ask_tracee(ask_seccomp_filters);
}

static bool has_rseq(void)
{
	return syscall(SYS_rseq, NULL, 0, 0, 0) && errno != ENOSYS;
}

static bool has_category(uint64_t category, int nr_found)
{
	cleanup_close int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t at = round_down((uintptr_t)&fd, PAGE_SIZE), region[3];
	struct pm_scan_arg_v1 a = { .size = sizeof(a),
				    .start = at,
				    .end = at + PAGE_SIZE,
				    .vec = (uintptr_t)region,
				    .vec_len = 1,
				    .category_mask = category,
				    .return_mask = category };

	return fd >= 0 && ioctl(fd, PAGEMAP_SCAN_V1, &a) == nr_found;
}

static bool has_pagemap_scan(void)
{
	return has_category(1 << 3, 1); /* PAGE_IS_PRESENT */
}

static bool has_pagemap_guard(void)
{
	return has_category(1 << 8, 0); /* PAGE_IS_GUARD */
}

static bool uffd_has(uint64_t features)
{
	cleanup_close int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	return fd >= 0 && !ioctl(fd, UFFDIO_API, &api);
}

static bool has_uffd(void)
{
	return uffd_has(0);
}

static bool has_uffd_noncoop(void)
{
	return uffd_has(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
			UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE);
}

static bool has_uffd_wp_async(void)
{
	return uffd_has(UFFD_FEATURE_WP_ASYNC);
}

/* A page that was just written carries the bit, where the kernel keeps it. */
static bool has_soft_dirty(void)
{
	cleanup_close int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	char *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	uint64_t entry = 0;

	if (page == MAP_FAILED)
		return false;
	*page = 1;
	if (fd < 0 ||
	    pread_full(fd, &entry, sizeof(entry), (uintptr_t)page / PAGE_SIZE * 8) != sizeof(entry))
		entry = 0;
	munmap(page, PAGE_SIZE);
	return entry & SOFT_DIRTY_BIT;
}

static bool has_dirty_track(void)
{
	return (kernel_has(K_UFFD_WP_ASYNC) && kernel_has(K_PAGEMAP_SCAN)) ||
	       kernel_has(K_SOFT_DIRTY);
}

static bool has_timer_ids(void)
{
	return prctl(PR_TIMER_IDS_GET, 0, 0, 0) >= 0;
}

static bool has_timens(void)
{
	return exists("/proc/self/ns/time_for_children");
}

static bool has_membarrier(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_GET_REGISTRATIONS, 0, 0) >= 0;
}

static bool has_map_vdso(void)
{
#ifdef ARCH_MAP_VDSO_64
	/* at an address that can't be: a kernel that knows the call complains about that, or about the vDSO that is there */
	return syscall(SYS_arch_prctl, ARCH_MAP_VDSO_64, ~0xfffUL) >= 0 ||
	       (errno != EINVAL && errno != ENOSYS && errno != EPERM);
#else
	return true;
#endif
}

static bool has_aio(void)
{
	aio_context_t ctx = 0;

	if (syscall(SYS_io_setup, 1, &ctx))
		return false;
	syscall(SYS_io_destroy, ctx);
	return true;
}

static bool has_loginuid(void)
{
	return exists("/proc/self/loginuid");
}

static bool has_cgroupns(void)
{
	return exists("/proc/self/ns/cgroup");
}

static bool has_userns(void)
{
	return exists("/proc/self/ns/user");
}

static bool has_tun(void)
{
	cleanup_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	return fd >= 0;
}

static bool has_sk_ns(void)
{
	cleanup_close int sk = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cleanup_close int ns = sk < 0 ? -1 : ioctl(sk, SIOCGSKNS);

	return ns >= 0;
}

static bool has_sk_unix_file(void)
{
	cleanup_close int sk = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* an unbound socket has no file: ENOENT from a kernel that knows the request */
	return sk >= 0 && ioctl(sk, SIOCPROTOPRIVATE + 0) < 0 && errno == ENOENT;
}

static bool has_tcp_repair(void)
{
	cleanup_close int sk = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	struct tcp_repair_window w;
	socklen_t len = sizeof(w);

	return sk >= 0 && !setsockopt(sk, SOL_TCP, TCP_REPAIR, &on, sizeof(on)) &&
	       !getsockopt(sk, SOL_TCP, TCP_REPAIR_WINDOW, &w, &len);
}

static bool has_freebind6(void)
{
	cleanup_close int sk = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	return sk >= 0 && !setsockopt(sk, SOL_IPV6, 78 /* IPV6_FREEBIND */, &on, sizeof(on));
}

static bool has_openat2(void)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC };
	cleanup_close int fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

	return fd >= 0;
}

static bool has_set_group(void)
{
	/* the flag is checked before the descriptors */
	return syscall(SYS_move_mount, -1, "", -1, "", MOVE_MOUNT_SET_GROUP_FLAG) &&
	       errno != EINVAL && errno != ENOSYS;
}

/* Is there such a program, and does it work on an empty network namespace? */
static bool tool_works(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (!unshare(CLONE_NEWNET))
			execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid > 0 && TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) == pid && !status;
}

static bool has_vma_iter(void)
{
	cleanup_close int iter = vma_iter_open();

	return iter >= 0;
}

static bool has_iptables(void)
{
	static const char *const argv[] = { "iptables", "-w", "-L", "-n", NULL };

	return tool_works(argv);
}

static bool has_nftables(void)
{
	static const char *const argv[] = { "nft", "list", "ruleset", NULL };

	return tool_works(argv);
}

/* clang-format off */
const struct kernel_feature_info kernel_features[KERNEL_FEATURES] = {
	[K_MNT_ID] = { "mnt_id", NEED_ALWAYS, "mount ids in /proc/PID/fdinfo", has_mnt_id },
	[K_KCMP] = { "kcmp", NEED_ALWAYS, "comparison of descriptors (kcmp, CONFIG_KCMP)", has_kcmp },
	[K_PIDFD_GETFD] = { "pidfd_getfd", NEED_ALWAYS, "taking a task's descriptors (pidfd_getfd, Linux 5.6)", has_pidfd_getfd },
	[K_CLONE3_SET_TID] = { "clone3_set_tid", NEED_ALWAYS, "choosing a pid (clone3 with set_tid, Linux 5.5, CAP_CHECKPOINT_RESTORE)", has_clone3_set_tid },
	[K_PEEKSIGINFO] = { "ptrace_peeksiginfo", NEED_ALWAYS, "ptrace, and reading pending signals (PTRACE_PEEKSIGINFO)", has_peeksiginfo },
	[K_PAGEMAP_SCAN] = { "pagemap_scan", NEED_EXTRA, "fast page scan (ioctl PAGEMAP_SCAN, Linux 6.7)", has_pagemap_scan },
	[K_PAGEMAP_GUARD] = { "pagemap_guard", NEED_NEW, "guard regions in the page scan (PAGE_IS_GUARD, Linux 6.16)", has_pagemap_guard },
	[K_TASK_VMA_ITER] = { "task_vma_iter", NEED_NEW, "areas' flags without a walk of their pages (BPF iterator task_vma, Linux 6.1, CAP_BPF and CAP_PERFMON)", has_vma_iter },
	[K_TIMERFD] = { "timerfd", NEED_EXTRA, "timerfd settings in /proc/PID/fdinfo", has_timerfd },
	[K_FDINFO_LOCK] = { "fdinfo_lock", NEED_EXTRA, "file locks in /proc/PID/fdinfo", has_fdinfo_lock },
	[K_TIMER_CR_IDS] = { "timer_cr_ids", NEED_NEW, "POSIX timers with a chosen id (PR_TIMER_CREATE_RESTORE_IDS, Linux 6.16)", has_timer_ids },
	[K_RSEQ] = { "rseq", NEED_EXTRA, "restartable sequences", has_rseq },
	[K_GET_RSEQ_CONF] = { "get_rseq_conf", NEED_EXTRA, "reading the rseq registration (PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13)", has_rseq_conf },
	[K_SECCOMP_SUSPEND] = { "seccomp_suspend", NEED_EXTRA, "suspending seccomp (CONFIG_CHECKPOINT_RESTORE)", has_seccomp_suspend },
	[K_SECCOMP_FILTERS] = { "seccomp_filters", NEED_EXTRA, "reading seccomp filters (CONFIG_CHECKPOINT_RESTORE)", has_seccomp_filters },
	[K_TIMENS] = { "timens", NEED_EXTRA, "time namespaces (Linux 5.6)", has_timens },
	[K_UFFD] = { "uffd", NEED_EXTRA, "userfaultfd, for lazy pages", has_uffd },
	[K_UFFD_NONCOOP] = { "uffd-noncoop", NEED_EXTRA, "userfaultfd events of fork, mremap, munmap and madvise, for lazy pages", has_uffd_noncoop },
	[K_UFFD_WP_ASYNC] = { "uffd-wp-async", NEED_NEW, "asynchronous write protection (UFFD_FEATURE_WP_ASYNC, Linux 6.7), for pre-dump", has_uffd_wp_async },
	[K_MEM_DIRTY_TRACK] = { "mem_dirty_track", NEED_EXTRA, "tracking of written memory, for pre-dump (PAGEMAP_SCAN with UFFD_FEATURE_WP_ASYNC, or CONFIG_MEM_SOFT_DIRTY)", has_dirty_track },
	[K_SOFT_DIRTY] = { "soft_dirty", NEED_NEW, "soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)", has_soft_dirty },
	[K_MEMBARRIER_GET_REGISTRATIONS] = { "membarrier_get_registrations", NEED_NEW, "membarrier registrations (Linux 6.3)", has_membarrier },
	[K_CAN_MAP_VDSO] = { "can_map_vdso", NEED_EXTRA, "mapping the vDSO where it was (ARCH_MAP_VDSO_64)", has_map_vdso },
	[K_AIO_REMAP] = { "aio_remap", NEED_NEW, "asynchronous I/O rings (io_setup)", has_aio },
	[K_LOGINUID] = { "loginuid", NEED_NEW, "login uids (CONFIG_AUDIT)", has_loginuid },
	[K_CGROUPNS] = { "cgroupns", NEED_NEW, "cgroup namespaces", has_cgroupns },
	[K_USERNS] = { "userns", NEED_NEW, "user namespaces", has_userns },
	[K_TUN] = { "tun", NEED_NEW, "TUN devices", has_tun },
	[K_SK_NS] = { "sk_ns", NEED_NEW, "the network namespace of a socket (SIOCGSKNS)", has_sk_ns },
	[K_SK_UNIX_FILE] = { "sk_unix_file", NEED_EXTRA, "the file of a UNIX socket (SIOCUNIXFILE)", has_sk_unix_file },
	[K_TCP_HALF_CLOSED] = { "tcp_half_closed", NEED_NEW, "TCP repair with windows (CAP_NET_ADMIN)", has_tcp_repair },
	[K_IPV6_FREEBIND] = { "ipv6_freebind", NEED_NEW, "IPV6_FREEBIND", has_freebind6 },
	[K_OPENAT2] = { "openat2", NEED_NEW, "openat2 (Linux 5.6)", has_openat2 },
	[K_MOVE_MOUNT_SET_GROUP] = { "move_mount_set_group", NEED_NEW, "setting groups of mounts (Linux 5.15)", has_set_group },
	[K_NETWORK_LOCK_IPTABLES] = { "network_lock_iptables", NEED_NEW, "locking the network with iptables", has_iptables },
	[K_NETWORK_LOCK_NFTABLES] = { "network_lock_nftables", NEED_NEW, "locking the network with nftables", has_nftables },
};
/* clang-format on */

bool kernel_has(enum kernel_feature f)
{
	static signed char known[KERNEL_FEATURES]; /* 0: not asked yet */

	if (!known[f])
		known[f] = kernel_features[f].probe() ? 1 : -1;
	return known[f] > 0;
}

int kernel_feature_by_name(const char *name)
{
	for (int f = 0; f < KERNEL_FEATURES; f++)
		if (!strcmp(kernel_features[f].name, name))
			return f;
	return -1;
}
