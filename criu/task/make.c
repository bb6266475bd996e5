// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "task/make.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mem/mem.h"
#include "remote/arena.h"
#include "remote/clone.h"
#include "remote/trace.h"
#include "util/log.h"

static unsigned next_slot;

unsigned tree_nr_slots(struct op *op)
{
	unsigned nr = 2; /* passing ones: see make_orphan() */
	struct task *t;

	for_each_task (t, op)
		nr += t->nr_threads;
	return nr;
}

static uint64_t shared_flags(const struct task *parent, const struct task *t)
{
	uint64_t flags = 0;

	if (!t->ids || !parent->ids)
		return 0;
	if (t->ids->files_id == parent->ids->files_id)
		flags |= CLONE_FILES;
	if (t->ids->fs_id == parent->ids->fs_id)
		flags |= CLONE_FS;
	return flags;
}

static int call_ok(struct task *t, const char *what, long ret)
{
	if (ret >= 0)
		return 0;
	errno = -ret;
	pr_perror("Task %d: %s", t->vpid, what);
	return -1;
}

static int make_children(struct op *op, struct task *t, bool after_setsid);

static int finish_task(struct op *op, struct task *t, struct puppet *p)
{
	t->threads[0].puppet = p;
	t->threads[0].tid = t->pid = p->tid;
	if (task_alive(t) && mm_restore(op, t))
		return -1;
	/* children of the session that T was born into come before T makes its own */
	if (make_children(op, t, false))
		return -1;
	if (t->sid == t->vpid && call_ok(t, "setsid", puppet_call(p, __NR_setsid)))
		return -1;
	return make_children(op, t, true);
}

/* The session in which T's children are born before and after its setsid(). */
static bool born_here(const struct task *t, const struct task *child, bool after)
{
	pid_t before_sid = t->parent ? t->parent->sid : 0;
	bool leads = t->sid == t->vpid;

	if (child->sid == child->vpid) /* it makes its own */
		return after;
	if (child->sid == t->sid)
		return after;
	return leads && !after && t->parent && child->sid == before_sid;
}

static int make_child(struct op *op, struct task *t, struct task *child)
{
	struct puppet *p = puppet_clone(leader(t)->puppet, child->vpid, next_slot,
					shared_flags(t, child), SIGCHLD);

	if (!p)
		return -1;
	next_slot++;
	return finish_task(op, child, p);
}

static int make_children(struct op *op, struct task *t, bool after)
{
	struct task *child;

	for_each_task (child, op)
		if (child->parent == t && !child->threads[0].puppet && born_here(t, child, after) &&
		    make_child(op, t, child))
			return -1;
	return 0;
}

/*
 * A task whose session is neither its parent's nor its own: it was orphaned and taken in by the root. A member of
 * its session clones a passing task, that one clones it and ends, and the root, for the moment a subreaper, takes it in again.
 */
static int make_orphan(struct op *op, struct task *t)
{
	struct task *l = task_find(op, t->sid);
	struct puppet *passing, *p;
	int status;

	if (!l || !l->threads[0].puppet || t->parent != op->root) {
		pr_err("Task %d (parent %d) is in session %d, which no task of the tree can give "
		       "it: not supported",
		       t->vpid, t->parent->vpid, t->sid);
		return -1;
	}
	passing = puppet_clone(leader(l)->puppet, 0, next_slot++, 0, 0);
	if (!passing)
		return -1;
	p = puppet_clone(passing, t->vpid, next_slot, 0, SIGCHLD);
	if (!p)
		return -1;
	if (call_ok(op->root, "prctl(PR_SET_CHILD_SUBREAPER)",
		    puppet_call(leader(op->root)->puppet, __NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0,
				0, 0)))
		return -1;
	kill(passing->tid, SIGKILL);
	TEMP_FAILURE_RETRY(waitpid(passing->tid, &status, __WALL));
	puppet_call(leader(l)->puppet, __NR_wait4, passing->image_tid, 0, __WALL | WNOHANG, 0);
	next_slot--; /* the passing task's place is free, the orphan's follows it */
	puppet_forget(passing);
	next_slot += 1;
	if (call_ok(op->root, "prctl(PR_SET_CHILD_SUBREAPER)",
		    puppet_call(leader(op->root)->puppet, __NR_prctl, PR_SET_CHILD_SUBREAPER, 0, 0,
				0, 0)))
		return -1;
	return finish_task(op, t, p);
}

int tree_make(struct op *op)
{
	uint64_t flags = op->root->vpid == 1 ? CLONE_NEWPID : 0;
	struct puppet *p;
	struct task *t;
	int missing;

	next_slot = 1;
	if (opts.restore_sibling)
		flags |= CLONE_PARENT;
	p = puppet_clone_root(op->arena, op->root->vpid, flags);
	if (!p)
		return -1;
	puppet_follow(p);
	if (finish_task(op, op->root, p))
		return -1;
	/* orphans, and what descends from them: as long as some appear */
	do {
		missing = 0;
		for_each_task (t, op) {
			if (t->threads[0].puppet || !t->parent->threads[0].puppet)
				continue;
			if (make_orphan(op, t))
				return -1;
			missing++;
		}
	} while (missing);
	return 0;
}

int tree_set_groups(struct op *op)
{
	struct task *t;

	/* leaders first: a group exists when its leader has made it */
	for (int leaders = 1; leaders >= 0; leaders--)
		for_each_task (t, op) {
			bool leads = t->pgid == t->vpid;

			if (leads != leaders || t->sid == t->vpid || !task_find(op, t->pgid))
				continue;
			if (call_ok(t, "setpgid",
				    puppet_call(leader(t)->puppet, __NR_setpgid, 0, t->pgid)))
				return -1;
		}
	for_each_task (t, op) {
		int status;

		if (t->state != TASK_HELPER)
			continue;
		kill(t->pid, SIGKILL);
		while (TEMP_FAILURE_RETRY(waitpid(t->pid, &status, __WALL)) == t->pid &&
		       WIFSTOPPED(status))
			;
		puppet_forget(t->threads[0].puppet);
		t->threads[0].puppet = NULL;
		puppet_call(leader(op->root)->puppet, __NR_wait4, t->vpid, 0, WNOHANG | __WALL, 0);
	}
	return 0;
}

int tree_make_threads(struct op *op)
{
	const uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			       CLONE_SYSVSEM;
	struct task *t;

	for_each_live_task (t, op)
		for (unsigned i = 1; i < t->nr_threads; i++) {
			struct puppet *p = puppet_clone(leader(t)->puppet, t->threads[i].vtid,
							next_slot, flags, 0);

			if (!p)
				return -1;
			next_slot++;
			t->threads[i].puppet = p;
			t->threads[i].tid = p->tid;
		}
	return 0;
}

int tree_hide_stop(struct task *parent, pid_t vpid)
{
	struct puppet *p = leader(parent)->puppet;
	uint64_t set = 1ULL << (SIGCHLD - 1);
	struct timespec while_ = { 0, 100000000 };

	/* the stop has been told of already, so the signal is there, unless the parent ignores it */
	prog_reset(p);
	prog_add(p, 0, __NR_rt_sigtimedwait, prog_buf(p, &set, 8), 0,
		 prog_buf(p, &while_, sizeof(while_)), 8);
	prog_add(p, 0, __NR_waitid, P_PID, vpid, 0, WSTOPPED | WNOHANG, 0);
	return prog_run(p);
}

/* A SIGCHLD of a zombie or helper made by restore must not reach the parent: its pending signals are in its image. */
static int swallow_sigchld(struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	uint64_t set = 1ULL << (SIGCHLD - 1);
	struct timespec zero = { 0, 0 };

	prog_reset(p);
	prog_add(p, 0, __NR_rt_sigtimedwait, prog_buf(p, &set, 8), 0,
		 prog_buf(p, &zero, sizeof(zero)), 8);
	return prog_run(p);
}

static int bury(struct task *t)
{
	struct puppet *p = leader(t)->puppet;
	int signo = WTERMSIG(t->exit_code), status;
	uint64_t none = 0;

	prog_reset(p);
	if (leader(t)->core->tc->comm)
		prog_add(p, 0, __NR_prctl, PR_SET_NAME, prog_str(p, leader(t)->core->tc->comm), 0,
			 0, 0);
	if (signo) {
		/* no core file of a puppet: RLIMIT_CORE */
		uint64_t zero[2] = { 0, 0 };

		prog_add(p, 0, __NR_prlimit64, 0, 4, prog_buf(p, zero, sizeof(zero)), 0);
		prog_add(p, 0, __NR_kill, t->vpid, signo);
		prog_add(p, 0, __NR_rt_sigprocmask, SIG_SETMASK, prog_buf(p, &none, 8), 0, 8);
	}
	prog_add(p, 0, __NR_exit_group, WEXITSTATUS(t->exit_code));
	if (prog_start(p))
		return -1;
	/* the tracer sees the signal first, then the end */
	for (;;) {
		if (TEMP_FAILURE_RETRY(waitpid(t->pid, &status, __WALL)) != t->pid) {
			pr_perror("Can't wait for the end of zombie %d", t->vpid);
			return -1;
		}
		if (!WIFSTOPPED(status))
			break;
		if (trace_cont_signal(t->pid, status >> 16 ? 0 : WSTOPSIG(status)))
			return -1;
	}
	puppet_forget(p);
	t->threads[0].puppet = NULL;
	return 0;
}

int tree_bury_zombies(struct op *op)
{
	struct task *t;

	for_each_task (t, op)
		if (t->state == TASK_DEAD && bury(t))
			return -1;
	for_each_live_task (t, op)
		if (swallow_sigchld(t))
			return -1;
	return 0;
}

void tree_kill(struct op *op)
{
	struct task *t;

	/* children whose parent dies come to us, so that we can see all of them end */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for_each_task (t, op)
		if (t->pid && (task_alive(t) || t->threads[0].puppet))
			kill(t->pid, SIGKILL);
	for_each_task (t, op) {
		int status;

		if (!t->pid)
			continue;
		/* the leader's end comes when the others have been waited for */
		for (int i = t->nr_threads - 1; i >= 0; i--) {
			pid_t tid = t->threads[i].tid;

			while (tid && TEMP_FAILURE_RETRY(waitpid(tid, &status, __WALL)) == tid &&
			       WIFSTOPPED(status))
				;
		}
	}
	/* the first wait was the tracer's; the one that frees the pid is the parent's */
	for_each_task (t, op)
		if (t->pid)
			TEMP_FAILURE_RETRY(waitpid(t->pid, NULL, __WALL));
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}
