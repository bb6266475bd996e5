/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of a task's core, one file each, called by core.c only.
 *
 * dump: X_ask() adds calls to the one program that the thread's puppet runs, X_told() puts what they returned into the core,
 * X_dump() asks from outside. restore: X_check() looks at what an image says before anything is made; X_restore() adds calls to
 * the program of core_restore(), X_restore_late() to that of core_restore_late(), or acts from outside. All log their errors
 * and return -1.
 */
#ifndef CRIU_TASK_PARTS_H
#define CRIU_TASK_PARTS_H

#include <signal.h>
#include <sys/time.h>

#include "op.h"
#include "proc/proc.h"
#include "remote/puppet.h"
#include "util/xmalloc.h"

#define NR_SIGNALS 64

/* struct sigaction as rt_sigaction(2) takes it */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

/* One thread, at dump or restore. */
struct part {
	struct op *op;
	struct task *t;
	struct thread *th;
	struct puppet *p;
	bool leader;
	/* dump: the thread's /proc status; restore: what the task's puppets began with */
	const struct proc_status *status;
	/* dump: answers, in memory that we share with the task, and numbers of calls */
	struct kernel_sigaction *sigactions;
	stack_t *altstack;
	struct itimerval *itimers;
	uint64_t *clear_tid;
	int *pdeath_signal, *subreaper;
	char *comm;
	int securebits_call, membarrier_call, ldt_call, slack_call, merge_call;
};

/* Path of FILE of a thread or task below /proc/PID, for proc_read_X(part_proc(w->t), ...). */
int part_proc(const struct task *t);
const char *part_path(const struct part *w, const char *file, char buf[64]);
/* Room for NR_CALLS more and LEN bytes: what is there is run first where they do not fit. */
int part_room(struct part *w, unsigned nr_calls, size_t len);

void signals_ask(struct part *w);
int signals_told(struct part *w);
int signals_dump(struct part *w); /* pending signals: after timers_told() */
int signals_check(const CoreEntry *core, bool leader);
int signals_restore(struct part *w);
int signals_restore_late(struct part *w);

void timers_ask(struct part *w);
int timers_told(struct part *w); /* runs programs of its own */
int timers_check(const CoreEntry *core);
int timers_restore(struct part *w);
int timers_create_by_counting(struct part *w); /* its way before Linux 6.15; runs the program */
int timers_restore_late(struct part *w);

int limits_dump(struct part *w);
int limits_restore_late(struct part *w);

int sched_dump(struct part *w);
int sched_restore_late(struct part *w);

void prctl_ask(struct part *w);
int prctl_told(struct part *w);
int prctl_dump(struct part *w);
int prctl_restore(struct part *w);
int prctl_restore_proc(struct part *w); /* before creds: files below /proc */
int prctl_restore_late(struct part *w); /* after creds: a change of them undoes these */

void unsaved_ask(struct part *w);
void unsaved_told(struct part *w); /* warns; before other programs run */

int creds_dump(struct part *w); /* after the program: securebits */
int creds_check(const CoreEntry *core);
int creds_restore_late(struct part *w);

int rseq_dump(struct part *w);
int rseq_restore(struct part *w); /* late: touches memory */

/* Filters of all tasks, shared ones once: seccomp.img. */
int seccomp_dump(struct part *w);
int seccomp_write(struct op *op); /* where something is new */
int seccomp_check(struct op *op,
		  const CoreEntry *core); /* reads the image with the first that needs it */
int seccomp_restore_late(struct part *w);

#endif
