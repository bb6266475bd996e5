// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "remote/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "op.h"
#include "proc/proc.h"
#include "remote/arena.h"
#include "remote/trace.h"
#include "util/io.h"
#include "util/log.h"

#define RESTORE_OPTIONS                                                                         \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | \
	 PTRACE_O_TRACEVFORK)
#define CLONE_TRIES    100
#define CLONE_PAUSE_US 2000
#define PUPPET_SIGMASK (~(1ULL << (SIGTRAP - 1)))

/* the root's word to criu that it is ready to be taken over, in the data area of slot 0 */
enum { ROOT_READY = 1, ROOT_FAILED = 2 };
struct ready {
	uint32_t state;
	int err;
};

static long futex(uint32_t *word, int op, uint32_t val, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, val, timeout, NULL, 0);
}

/* Runs in the child, with a copy of criu's memory: the last C code before it is a puppet. */
static void __attribute__((noreturn)) become_root(struct arena *a, struct ready *ready)
{
	static const uint64_t
		none[4]; /* struct sigaction of the kernel; libc would leave flags of its own */
	sigset_t all;
	void *m;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* not what criu's caller ignored, nor criu's handlers */
	for (int s = 1; s < NSIG; s++)
		syscall(SYS_rt_sigaction, s, none, NULL, 8);
	/* the memory of glibc's registration is about to go */
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
			RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
	m = mmap((void *)a->base, a->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
		 a->fd, 0);
	if (m == MAP_FAILED || mprotect(m, ARENA_STUB_SIZE, PROT_READ | PROT_EXEC)) {
		ready->err = errno;
		ready->state = ROOT_FAILED;
	} else {
		ready->state = ROOT_READY;
	}
	futex(&ready->state, FUTEX_WAKE, 1, NULL);
	for (;;)
		pause();
}

static int wait_ready(struct ready *ready, pid_t pid)
{
	struct timespec second = { 1, 0 };

	while (!__atomic_load_n(&ready->state, __ATOMIC_ACQUIRE)) {
		futex(&ready->state, FUTEX_WAIT, 0, &second);
		if (!ready->state && waitpid(pid, NULL, WNOHANG | __WALL) == pid) {
			pr_err("The restored root task ended before it could be set up");
			return -1;
		}
	}
	if (ready->state == ROOT_READY)
		return 0;
	errno = ready->err;
	pr_perror("Can't map criu's memory into the root task");
	return -1;
}

static struct puppet *puppet_of(struct arena *a, pid_t tid, pid_t vpid, unsigned slot)
{
	struct puppet *p = xzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->tid = tid;
	p->image_tid = vpid;
	p->arena = a;
	p->slot = slot;
	if (trace_set_sigmask(tid, PUPPET_SIGMASK) || puppet_enter_stub(p)) {
		free(p);
		return NULL;
	}
	a->users++;
	return p;
}

/* Who has it: with state 0 where that can't be told (it is gone, or only a group or session has the number). */
static struct proc_stat who_has(pid_t pid)
{
	cleanup_free char *text = NULL;
	struct proc_stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	text = read_file_at(AT_FDCWD, path, NULL);
	if (!text || proc_parse_stat(text, &st))
		st.state = 0;
	return st;
}

/*
 * Its tasks ended at a dump, restore followed at once, and who had the pid has just been waited for, or is about to be. errno stays.
 * A group or session of which others are left has the number for long: then stat says nothing, and the tries end.
 */
static bool is_free_soon(pid_t vpid, unsigned *tries)
{
	char state;

	if (errno != EEXIST || (*tries)++ == CLONE_TRIES)
		return false;
	state = who_has(vpid).state;
	if (state && !strchr("ZX", state)) {
		errno = EEXIST;
		return false;
	}
	usleep(*tries > 1 ? CLONE_PAUSE_US : 0);
	errno = EEXIST;
	return true;
}

static void clone_error(pid_t vpid)
{
	struct proc_stat st;

	if (errno != EEXIST) {
		pr_perror("Can't make task %d (clone3 with set_tid needs CAP_CHECKPOINT_RESTORE or "
			  "CAP_SYS_ADMIN)",
			  vpid);
		return;
	}
	st = who_has(vpid);
	/* as long as its parent does not care, the pid is not free */
	if (st.state == 'Z')
		pr_err("Can't restore task %d: the task that had this pid has ended, but its "
		       "parent, process %d, has not waited for it yet (restore in a pid namespace "
		       "of its own, or let the parent wait or end)",
		       vpid, st.ppid);
	else if (st.state)
		pr_err("Can't restore task %d: a task with this pid exists already: '%s', a child "
		       "of process %d, state %c (restore in a pid namespace of its own, or end it)",
		       vpid, st.comm, st.ppid, st.state);
	else
		pr_err("Can't restore task %d: this pid is in use, by a thread, group or session "
		       "(restore in a pid namespace of its own)",
		       vpid);
}

struct puppet *puppet_clone_root(struct arena *a, pid_t vpid, uint64_t flags)
{
	pid_t set_tid[1] = { vpid };
	struct clone_args args = {
		.flags = flags,
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
		.set_tid = (uint64_t)set_tid,
		.set_tid_size = 1,
	};
	struct ready *ready = (struct ready *)arena_data(a, 0);
	struct puppet *p = NULL;
	unsigned tries = 0;
	pid_t pid;

	ready->state = 0;
	do {
		pid = syscall(SYS_clone3, &args, sizeof(args));
		if (!pid)
			become_root(a, ready);
	} while (pid < 0 && is_free_soon(vpid, &tries));
	if (pid < 0) {
		clone_error(vpid);
		return NULL;
	}
	if (wait_ready(ready, pid))
		goto kill;
	if (ptrace(PTRACE_SEIZE, pid, 0, RESTORE_OPTIONS) || ptrace(PTRACE_INTERRUPT, pid, 0, 0)) {
		pr_perror("Can't seize the new root task");
		goto kill;
	}
	if (trace_wait_stop(pid))
		goto kill;
	p = puppet_of(a, pid, vpid, 0);
	if (p)
		return p;
kill:
	kill(pid, SIGKILL);
	TEMP_FAILURE_RETRY(waitpid(pid, NULL, __WALL));
	return NULL;
}

/* 0 and *TID, as criu sees it; -1 with errno; -2: logged. */
static int clone_in(struct puppet *parent, pid_t vpid, uint64_t flags, int exit_signal, pid_t *tid)
{
	struct clone_args *args;
	uint64_t at, at_tid;
	pid_t *set_tid;

	prog_reset(parent);
	at_tid = prog_data(parent, sizeof(*set_tid), &set_tid);
	at = prog_data(parent, sizeof(*args), &args);
	*set_tid = vpid;
	args->flags = flags;
	args->exit_signal = exit_signal;
	args->set_tid = vpid ? at_tid : 0;
	args->set_tid_size = vpid ? 1 : 0;
	prog_add(parent, 0, __NR_clone3, at, sizeof(*args));
	if (prog_run_clone(parent, tid))
		return -2;
	if (prog_ret(parent, 0) >= 0)
		return 0;
	errno = -prog_ret(parent, 0);
	return -1;
}

/*
 * A thread that is in no list: its process does not end before its tracer has waited for it. And a process is its parent's to take away, with VPID as that one
 * knows it.
 */
static void end_unknown(struct puppet *parent, pid_t tid, pid_t vpid)
{
	int status;

	kill(tid, SIGKILL);
	while (TEMP_FAILURE_RETRY(waitpid(tid, &status, __WALL)) == tid && WIFSTOPPED(status))
		;
	if (vpid)
		puppet_call(parent, __NR_wait4, vpid, 0, WNOHANG | __WALL, 0);
}

/* CRIU_FAULT=clone-SLOT:after, for the tests: it has been made, and there is no memory for it, say. */
static bool is_to_fail(unsigned slot)
{
	char name[32];

	snprintf(name, sizeof(name), "clone-%u", slot);
	if (!fault_here(name, "after"))
		return false;
	pr_err("restore: %s fails after its end as CRIU_FAULT asks", name);
	return true;
}

struct puppet *puppet_clone(struct puppet *parent, pid_t vpid, unsigned slot, uint64_t flags,
			    int exit_signal)
{
	unsigned tries = 0;
	struct puppet *p;
	pid_t tid;
	int ret;

	do
		ret = clone_in(parent, vpid, flags, exit_signal, &tid);
	while (ret == -1 && is_free_soon(vpid, &tries));
	if (ret == -1)
		clone_error(vpid);
	if (ret)
		return NULL;
	if (trace_wait_stop(tid)) {
		pr_err("The new task %d ended at once", vpid);
		return NULL;
	}
	p = is_to_fail(slot)
		    ? NULL
		    : puppet_of(parent->arena, tid, vpid ? vpid : prog_ret(parent, 0), slot);
	if (!p)
		end_unknown(parent, tid, flags & CLONE_THREAD ? 0 : prog_ret(parent, 0));
	return p;
}

int puppet_suspend_seccomp(struct puppet *p)
{
	if (!ptrace(PTRACE_SETOPTIONS, p->tid, 0, RESTORE_OPTIONS | PTRACE_O_SUSPEND_SECCOMP))
		return 0;
	pr_perror("Can't suspend the seccomp filters of task %d (PTRACE_O_SUSPEND_SECCOMP needs "
		  "CAP_SYS_ADMIN)",
		  p->image_tid);
	return -1;
}

void puppet_forget(struct puppet *p)
{
	p->arena->users--;
	free(p);
}
