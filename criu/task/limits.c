// SPDX-License-Identifier: GPL-2.0-only
/* Resource limits (getrlimit(2)). */
#include <errno.h>
#include <sys/resource.h>

#include "task/parts.h"
#include "util/log.h"
#include "util/xmalloc.h"

int limits_dump(struct part *w)
{
	struct proc_limit limits[PROC_NR_LIMITS];
	TaskRlimitsEntry *list;
	char path[64];

	if (!w->leader)
		return 0;
	/* prlimit(2) of a task of another user needs CAP_SYS_RESOURCE */
	if (proc_read_limits(part_proc(w->t), part_path(w, "limits", path), limits))
		return -1;
	if (!PB_NEW(list, task_rlimits_entry__init))
		return -1;
	w->th->core->tc->rlimits = list;
	list->rlimits = xcalloc(PROC_NR_LIMITS, sizeof(*list->rlimits));
	if (!list->rlimits)
		return -1;
	for (int i = 0; i < PROC_NR_LIMITS; i++) {
		RlimitEntry *e;

		if (!PB_NEW(e, rlimit_entry__init))
			return -1;
		e->cur = limits[i].cur;
		e->max = limits[i].max;
		list->rlimits[list->n_rlimits++] = e;
	}
	return 0;
}

/* The puppet still has criu's user ids, so prlimit(2) needs nothing but for raising a hard limit. */
int limits_restore_late(struct part *w)
{
	const TaskRlimitsEntry *list = w->leader ? w->th->core->tc->rlimits : NULL;

	for (size_t i = 0; list && i < list->n_rlimits && i < RLIM_NLIMITS; i++) {
		struct rlimit want = { list->rlimits[i]->cur, list->rlimits[i]->max }, now;

		if (prlimit(w->th->tid, i, NULL, &now)) {
			pr_perror("task %d: cannot read resource limit %zu", w->t->vpid, i);
			return -1;
		}
		if (now.rlim_cur == want.rlim_cur && now.rlim_max == want.rlim_max)
			continue;
		if (!prlimit(w->th->tid, i, &want, NULL))
			continue;
		if (errno == EPERM && want.rlim_max > now.rlim_max) {
			pr_warn("task %d: resource limit %zu: the hard limit stays at %lu instead "
				"of %lu (CAP_SYS_RESOURCE would be needed)",
				w->t->vpid, i, now.rlim_max, want.rlim_max);
			want.rlim_max = now.rlim_max;
			want.rlim_cur = min(want.rlim_cur, want.rlim_max);
			if (!prlimit(w->th->tid, i, &want, NULL))
				continue;
		}
		pr_perror("task %d: cannot set resource limit %zu to %lu:%lu", w->t->vpid, i,
			  want.rlim_cur, want.rlim_max);
		return -1;
	}
	return 0;
}
