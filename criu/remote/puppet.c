// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "proc/proc.h"
#include "remote/arena.h"
#include "remote/puppet.h"
#include "remote/rseq.h"
#include "remote/trace.h"
#include "util/io.h"
#include "util/log.h"

/* everything but the stub's own trap; the kernel ignores SIGKILL and SIGSTOP here */
#define PUPPET_SIGMASK (~(1ULL << (SIGTRAP - 1)))

/*
 * A syscall instruction in the text that the task maps already (the vDSO has one, so has libc). Nothing is
 * written into the task, so no page of its text becomes private. 0 where there is none.
 */
static uint64_t find_in(pid_t tid, uint64_t start, uint64_t end)
{
	char buf[65536];

	for (uint64_t at = start; at < end; at += sizeof(buf) - 16) {
		struct iovec l = { buf, min(sizeof(buf), end - at) }, r = { (void *)at, l.iov_len };
		ssize_t n = process_vm_readv(tid, &l, 1, &r, 1, 0);
		char *hit;

		if (n <= 0)
			return 0;
		hit = memmem(buf, n, arch_syscall_insn, arch_syscall_insn_len);
		if (hit)
			return at + (hit - buf);
	}
	return 0;
}

uint64_t puppet_find_syscall(pid_t tid)
{
	cleanup_free char *maps = NULL;
	char path[64], *line, *next;
	uint64_t start, end, ip;

	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	maps = read_file_at(AT_FDCWD, path, NULL);
	if (!maps) {
		pr_perror("Can't read %s", path);
		return 0;
	}
	for (int vdso = 1; vdso >= 0; vdso--)
		for (line = maps; line && *line; line = next) {
			char perms[8];

			next = strchr(line, '\n');
			next = next ? next + 1 : line + strlen(line);
			if (sscanf(line, "%lx-%lx %7s", &start, &end, perms) != 3 ||
			    perms[2] != 'x' || perms[0] != 'r')
				continue;
			if (vdso != !!memmem(line, next - line, "[vdso]", 6) ||
			    memmem(line, next - line, "[vsyscall]", 10))
				continue;
			ip = find_in(tid, start, end);
			if (ip)
				return ip;
		}
	pr_err("Task %d maps no code with a syscall instruction (not even a vDSO): it can't be "
	       "made to work for criu",
	       tid);
	return 0;
}

/* Whether the task ignores SIGTRAP: SigIgn of /proc/PID/status. */
static int ignores_trap(pid_t tid)
{
	cleanup_free char *text = NULL;
	char path[64], *at;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	text = read_file_at(AT_FDCWD, path, NULL);
	at = text ? strstr(text, "\nSigIgn:") : NULL;
	return at && (strtoull(at + 8, NULL, 16) & (1ULL << (SIGTRAP - 1)));
}

/*
 * The arena of a running task: shared anonymous memory that the task maps, and that we open through
 * /proc/PID/map_files (proc(5)). Takes no descriptor in the task.
 */
static struct arena *map_arena(pid_t tid, pid_t image_tid, uint64_t ip, unsigned nr_slots)
{
	size_t len = arena_len(nr_slots);
	uint64_t map_args[6] = {
		0, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1UL, 0
	};
	long base = trace_syscall(tid, image_tid, ip, __NR_mmap, map_args);
	uint64_t prot_args[6] = { base, ARENA_STUB_SIZE, PROT_READ | PROT_EXEC };
	cleanup_close int fd = -1;
	struct arena *a = NULL;
	char path[96];
	void *local;
	long ret;

	if (base < 0 && base >= -4095) {
		errno = -base;
		pr_perror("Can't map %zu bytes into task %d", len, image_tid);
		return NULL;
	}
	ret = trace_syscall(tid, image_tid, ip, __NR_mprotect, prot_args);
	if (ret == -EACCES) {
		pr_err("Task %d denies itself memory that becomes executable (PR_SET_MDWE, "
		       "systemd's "
		       "MemoryDenyWriteExecute=): not supported",
		       image_tid);
		goto unmap;
	}
	if (ret) {
		errno = -ret;
		pr_perror("Can't make memory in task %d executable", image_tid);
		goto unmap;
	}
	/* mprotect has split the mapping: the scratch areas' part opens the same object */
	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", tid, base + ARENA_STUB_SIZE,
		 base + len);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		pr_perror("Can't open %s (it needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN)", path);
		goto unmap;
	}
	local = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (local == MAP_FAILED) {
		pr_perror("Can't map %zu bytes of task %d", len, image_tid);
		goto unmap;
	}
	a = arena_wrap(-1, local, base, nr_slots);
	if (a) {
		a->syscall_ip = ip;
		return a;
	}
unmap:
	trace_syscall(tid, image_tid, ip, __NR_munmap, (uint64_t[6]){ base, len });
	return NULL;
}

/* Is a signal waiting that the thread does not block? */
static bool signal_waits(pid_t tid, uint64_t blocked)
{
	struct proc_status st;
	char path[64];
	uint64_t waiting;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (proc_read_status(AT_FDCWD, path, &st))
		return true;
	waiting = (st.sig_pnd | st.shd_pnd) & ~blocked;
	proc_status_free(&st);
	return waiting;
}

/* REGS as they are where the stop alone has ended a system call with EINTR: it will be restarted. */
static bool hide_eintr(pid_t tid, struct arch_regs *regs, uint64_t blocked)
{
	struct arch_regs hidden = *regs;

	if (!arch_hide_eintr(&hidden) || signal_waits(tid, blocked))
		return false;
	*regs = hidden;
	return true;
}

/* The stub ends with a SIGTRAP. One of the task's own that is pending, blocked, would come first and be lost. */
static int refuse_pending_trap(pid_t tid, pid_t image_tid, uint64_t blocked)
{
	uint64_t trap = 1ULL << (SIGTRAP - 1);

	if (!(blocked & trap) || !signal_waits(tid, ~trap))
		return 0;
	pr_err("Task %d has a pending SIGTRAP, the signal that criu itself works with in a task: "
	       "not supported",
	       image_tid);
	return -1;
}

#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG /* Linux 6.4 */
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif

/* The stub's calls would be dispatched to the task as SIGSYS, which is blocked: its handler would be lost, and the stub run astray. */
static int refuse_user_dispatch(pid_t tid, pid_t image_tid)
{
	struct {
		uint64_t mode, selector, offset, len;
	} conf = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(conf), &conf) < 0 ||
	    !conf.mode)
		return 0;
	pr_err("Task %d has system calls dispatched to itself (PR_SET_SYSCALL_USER_DISPATCH, as "
	       "Wine does): not supported",
	       image_tid);
	return -1;
}

static struct puppet *puppet_new(pid_t tid, pid_t image_tid)
{
	struct puppet *p = xzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->tid = tid;
	p->image_tid = image_tid;
	if (refuse_user_dispatch(tid, image_tid) || arch_get_regs(tid, &p->saved) ||
	    rseq_abort(tid, &p->saved) || trace_get_sigmask(tid, &p->saved_sigmask) ||
	    refuse_pending_trap(tid, image_tid, p->saved_sigmask) ||
	    trace_set_sigmask(tid, PUPPET_SIGMASK)) {
		free(p);
		return NULL;
	}
	hide_eintr(tid, &p->saved, p->saved_sigmask);
	return p;
}

void puppet_hide_eintr(pid_t tid)
{
	struct arch_regs regs;
	uint64_t mask;

	/* not ours, or gone: nothing to hide, and no error */
	if (ptrace(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask))
		return;
	if (!arch_get_regs(tid, &regs) && hide_eintr(tid, &regs, mask))
		arch_set_regs(tid, &regs);
}

int puppet_enter_stub(struct puppet *p)
{
	struct arch_regs regs;

	if (arch_get_regs(p->tid, &regs))
		return -1;
	arch_setup_stub(&regs, p->arena->base,
			arena_remote(p->arena, arena_calls(p->arena, p->slot)));
	return arch_set_regs(p->tid, &regs);
}

/* Registers and mask as they were; the thread is in a stop from which an interrupted system call is restarted. */
static int put_back(struct puppet *p, bool from_syscall_stop)
{
	int ret = trace_set_sigmask(p->tid, p->saved_sigmask) | arch_set_regs(p->tid, &p->saved);

	if (!ret && from_syscall_stop)
		ret = trace_to_event_stop(p->tid, p->image_tid);
	if (p->pending_stop)
		kill(p->tid, p->pending_stop);
	return ret;
}

/*
 * What the stub needs to put the thread back by itself, should criu die: a signal frame with everything that was found. The alternate
 * signal stack, which only the thread can tell, is written there by its first program.
 */
static int prepare_heal(struct puppet *p)
{
	char *frame = arena_heal(p->arena, p->slot);
	uint64_t at = arena_remote(p->arena, frame);

	if (arch_heal_frame(p->tid, &p->saved, p->saved_sigmask, frame, at, HEAL_SIZE))
		return -1;
	prog_reset(p);
	prog_add(p, RC_STOP, __NR_sigaltstack, 0, at + ARCH_HEAL_ALTSTACK);
	return prog_run(p);
}

struct puppet *puppet_infect(pid_t tid, pid_t image_tid, unsigned nr_slots)
{
	struct puppet *p = puppet_new(tid, image_tid);
	uint64_t ip;

	if (!p)
		return NULL;
	puppet_follow(p);
	ip = puppet_find_syscall(tid);
	if (ip)
		p->arena = map_arena(tid, image_tid, ip, nr_slots);
	if (!p->arena) {
		put_back(p, ip);
		free(p);
		return NULL;
	}
	p->arena->trap_ignored = ignores_trap(tid);
	p->arena->users = 1;
	p->infected = true;
	if (puppet_enter_stub(p) || prepare_heal(p)) {
		puppet_cure(p);
		return NULL;
	}
	return p;
}

struct puppet *puppet_join(struct puppet *leader, pid_t tid, pid_t image_tid, unsigned slot)
{
	struct puppet *p = puppet_new(tid, image_tid);

	if (!p)
		return NULL;
	p->arena = leader->arena;
	p->slot = slot;
	p->arena->users++;
	if (puppet_enter_stub(p) || prepare_heal(p)) {
		puppet_cure(p);
		return NULL;
	}
	return p;
}

/* The kernel has changed the handler only. */
static void ignore_trap_again(struct puppet *p)
{
	struct { /* struct sigaction of the kernel */
		uint64_t handler, flags, restorer, mask;
	} * sa;
	uint64_t at, ip = p->arena->syscall_ip;

	prog_reset(p);
	at = prog_data(p, sizeof(*sa), &sa);
	trace_syscall(p->tid, p->image_tid, ip, __NR_rt_sigaction,
		      (uint64_t[6]){ SIGTRAP, 0, at, 8 });
	sa->handler = (uint64_t)SIG_IGN;
	trace_syscall(p->tid, p->image_tid, ip, __NR_rt_sigaction,
		      (uint64_t[6]){ SIGTRAP, at, 0, 8 });
}

int puppet_cure(struct puppet *p)
{
	struct arena *a = p->arena;
	int ret = 0;
	long err;

	if (p->infected && a->trap_ignored)
		ignore_trap_again(p);
	if (p->infected) {
		err = trace_syscall(p->tid, p->image_tid, a->syscall_ip, __NR_munmap,
				    (uint64_t[6]){ a->base, a->len });
		if (err && err != -EIO) {
			errno = -err;
			pr_perror("Can't unmap criu's memory from task %d", p->image_tid);
		}
		ret = err ? -1 : 0;
	}
	ret |= put_back(p, p->infected);
	if (!--a->users)
		arena_free(a);
	free(p);
	return ret;
}

static cpu_set_t all_cpus; /* those that criu may use */
static bool all_known;

bool puppet_has_our_cpus(pid_t tid)
{
	cpu_set_t its;

	return !all_known || sched_getaffinity(tid, sizeof(its), &its) ||
	       CPU_EQUAL(&its, &all_cpus);
}

void puppet_unfollow(void)
{
	if (all_known)
		sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}

void puppet_follow(struct puppet *p)
{
	cleanup_free char *stat = NULL;
	char path[64], *at;
	cpu_set_t set;
	int cpu;

	snprintf(path, sizeof(path), "/proc/%d/stat", p->tid);
	stat = read_file_at(AT_FDCWD, path, NULL);
	at = stat ? strrchr(stat, ')') : NULL;
	if (!at)
		return;
	for (int i = 2; i < 39 && at; i++) /* field 39: processor (proc(5)) */
		at = strchr(at + 1, ' ');
	if (!at)
		return;
	if (!all_known && sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		return;
	all_known = true;
	cpu = atoi(at + 1);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* a hint: it may fail */
}
