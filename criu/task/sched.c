// SPDX-License-Identifier: GPL-2.0-only
/* Scheduling policy, priority and nice value of a thread (sched_setattr(2)). All from outside. */
#include <errno.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>

#include "task/parts.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* As sched_setscheduler(2) takes it in the policy. */
#define RESET_ON_FORK 0x40000000

static bool is_realtime(uint32_t policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int get_attr(pid_t tid, struct sched_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	if (!syscall(__NR_sched_getattr, tid, attr, sizeof(*attr), 0))
		return 0;
	pr_perror("task %d: cannot read its scheduling policy", tid);
	return -1;
}

int sched_dump(struct part *w)
{
	ThreadCoreEntry *tc = w->th->core->thread_core;
	struct sched_attr attr;

	if (get_attr(w->th->tid, &attr))
		return -1;
	if (attr.sched_policy == SCHED_DEADLINE) {
		pr_err("task %d, thread %d is scheduled by SCHED_DEADLINE, which images have no "
		       "room for",
		       w->t->pid, w->th->tid);
		return -1;
	}
	tc->has_sched_nice = tc->has_sched_policy = true;
	tc->sched_nice = attr.sched_nice;
	tc->sched_policy = attr.sched_policy;
	if (attr.sched_flags & SCHED_FLAG_RESET_ON_FORK)
		tc->sched_policy |= RESET_ON_FORK;
	if (is_realtime(attr.sched_policy)) {
		tc->has_sched_prio = true;
		tc->sched_prio = attr.sched_priority;
	}
	return 0;
}

int sched_restore_late(struct part *w)
{
	const ThreadCoreEntry *tc = w->th->core->thread_core;
	uint32_t policy = tc->sched_policy & ~RESET_ON_FORK;
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = policy,
		.sched_nice = tc->sched_nice,
		.sched_priority = is_realtime(policy) ? tc->sched_prio : 0,
		.sched_flags = tc->sched_policy & RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0,
	};
	struct sched_attr now;

	if (!tc->has_sched_policy)
		return 0;
	if (get_attr(w->th->tid, &now))
		return -1;
	if (now.sched_policy == attr.sched_policy && now.sched_nice == attr.sched_nice &&
	    now.sched_priority == attr.sched_priority &&
	    (now.sched_flags & SCHED_FLAG_RESET_ON_FORK) == attr.sched_flags)
		return 0;
	if (!syscall(__NR_sched_setattr, w->th->tid, &attr, 0))
		return 0;
	pr_perror("task %d, thread %d: cannot set scheduling policy %u, priority %u, nice %d",
		  w->t->vpid, w->th->vtid, policy, attr.sched_priority, attr.sched_nice);
	return -1;
}
