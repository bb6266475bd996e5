/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Puppets: threads of other tasks that execute system calls for criu.
 *
 * A puppet is a stopped, ptraced thread that runs nothing but a stub of a few dozen instructions
 * (arch/ARCH/stub.S). The stub executes a *program*: an array of system calls in a scratch area that criu and
 * the task share (a memfd mapped into both). An argument is a constant, an address in the scratch area, or the
 * result of an earlier call of the same program. At the program's end the stub traps, and criu reads the results.
 * One run costs two context switches, whatever the program's length.
 *
 * Building a program:
 *	prog_reset(p);
 *	int fd = prog_add(p, RC_STOP, __NR_openat, AT_FDCWD, prog_str(p, "/x"), O_RDONLY);
 *	prog_add(p, RC_STOP, __NR_dup2, RESULT(fd), 10);
 *	if (prog_run(p)) return -1;		// a failed RC_STOP call is logged: task, call, arguments, errno
 *
 * Results are what the kernel returns: -4095..-1 is a negative errno.
 */
#ifndef CRIU_REMOTE_PUPPET_H
#define CRIU_REMOTE_PUPPET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "remote/program.h"
#include "regs.h" /* arch */

struct arena;

struct puppet {
	pid_t tid;	 /* as criu sees it */
	pid_t image_tid; /* for messages */
	struct arena *
		arena; /* the stub's mapping, shared with the other puppets of the same address space */
	unsigned slot;		/* which scratch area of the arena is ours */
	unsigned nr_calls;	/* of the program being built */
	size_t data_used;	/* bytes of the scratch data area in use */
	struct arch_regs saved; /* dump: registers as found */
	uint64_t saved_sigmask; /* dump: blocked signals as found */
	int pending_stop; /* a SIGSTOP-like signal that arrived meanwhile; sent again at release */
	bool infected;	  /* the arena is mapped in it */
};

/* ---- programs (declared in program.h: prog_reset, prog_add, prog_data, prog_run, prog_ret ...) ---- */

/*
 * One call, run at once. Returns its result (negative errno on failure; nothing logged), or -EIO where the puppet
 * itself is gone (logged).
 */
long puppet_call_(struct puppet *p, long nr, unsigned nr_args, const struct rarg *args);
#define puppet_call(p, nr, ...)                                                  \
	({                                                                       \
		const struct rarg __args[] = { RARGS(__VA_ARGS__) };             \
		puppet_call_(p, nr, sizeof(__args) / sizeof(__args[0]), __args); \
	})

/* ---- life of a puppet ---- */
/*
 * dump: TID is seized and stopped (remote/freeze.h). Saves registers and mask, maps an arena with NR_SLOTS scratch areas
 * at a free address of the task, and leaves the thread in the stub. The arena is shared by the other threads of the
 * task through puppet_join(). NULL: logged, the task is as before.
 */
struct puppet *puppet_infect(pid_t tid, pid_t image_tid, unsigned nr_slots);
struct puppet *puppet_join(struct puppet *leader, pid_t tid, pid_t image_tid, unsigned slot);
/* Unmaps the arena (leader only), puts back registers and mask; the thread stays stopped. Frees P. */
int puppet_cure(struct puppet *p);
/* For a stopped thread that was no puppet and is about to run on: a system call that the stop alone ended with EINTR is made again. */
void puppet_hide_eintr(pid_t tid);

/* Address of a syscall instruction in TID's own text. 0: none, logged. */
uint64_t puppet_find_syscall(pid_t tid);
/* Points the stopped thread's registers at the stub and its own program. -1 logged. */
int puppet_enter_stub(struct puppet *p);

/* Moves criu to the CPU on which the puppet last ran: a round trip then costs 8 us instead of 19. */
void puppet_follow(struct puppet *p);
/* May TID use the CPUs that criu started with, and no others? True also where that is not known. */
bool puppet_has_our_cpus(pid_t tid);
/* Back to every CPU that criu started with. */
void puppet_unfollow(void);

#endif
