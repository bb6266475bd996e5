// SPDX-License-Identifier: GPL-2.0-only
#include "task/core.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ptrace.h>

#include "image/image.h"
#include "task/parts.h"
#include "util/log.h"
#include "util/xmalloc.h"

int part_proc(const struct task *t)
{
	return t->proc > 0 ? t->proc : AT_FDCWD;
}

const char *part_path(const struct part *w, const char *file, char buf[64])
{
	if (w->t->proc > 0)
		snprintf(buf, 64, "%s", file);
	else
		snprintf(buf, 64, "/proc/%d/%s", w->t->pid, file);
	return buf;
}

int part_room(struct part *w, unsigned nr_calls, size_t len)
{
	/* each piece of data may lose 15 bytes to alignment */
	if (prog_room(w->p, nr_calls, len + 64))
		return 0;
	if (prog_run(w->p))
		return -1;
	prog_reset(w->p);
	if (prog_room(w->p, nr_calls, len + 64))
		return 0;
	pr_err("task %d: %zu bytes for one system call are too much", w->t->vpid, len);
	return -1;
}

static int read_status(const struct task *t, const struct thread *th, struct proc_status *st)
{
	char path[64];

	if (t->proc > 0)
		snprintf(path, sizeof(path), "task/%d/status", th->tid);
	else
		snprintf(path, sizeof(path), "/proc/%d/task/%d/status", t->pid, th->tid);
	return proc_read_status(part_proc(t), path, st);
}

/* ---- dump ---- */

static int new_core(struct part *w)
{
	struct thread *th = w->th;
	TaskCoreEntry *tc;
	struct proc_stat st;
	char path[64];

	if (!PB_NEW(th->core, core_entry__init))
		return -1;
	th->core->mtype = arch_march;
	if (!w->leader)
		return 0;
	if (!PB_NEW(tc, task_core_entry__init))
		return -1;
	th->core->tc = tc;
	if (proc_read_stat(part_proc(w->t), part_path(w, "stat", path), &st))
		return -1;
	tc->task_state = w->t->state;
	if (w->t->state == TASK_DEAD) {
		tc->exit_code = w->t->exit_code;
		tc->comm = xstrdup(st.comm);
		return tc->comm ? 0 : -1;
	}
	tc->flags = st.flags;
	if (w->t->state == TASK_STOPPED) {
		tc->has_stop_signo = true;
		tc->stop_signo = w->t->stop_signo;
	}
	return 0;
}

/* What only the thread itself can say: one program, which runs while we go on. */
static int start_interview(struct part *w)
{
	if (new_core(w))
		return -1;
	prog_reset(w->p);
	signals_ask(w);
	timers_ask(w);
	prctl_ask(w);
	unsaved_ask(w);
	return prog_start(w->p);
}

/* The answers first: timers_told() runs programs of its own, and what the others were told is gone then. */
static int finish_thread(struct part *w)
{
	struct arch_regs regs = w->p->saved;
	CoreEntry *core = w->th->core;

	if (!PB_NEW(core->thread_core, thread_core_entry__init))
		return -1;
	arch_rewind_syscall(w->th->tid, &regs);
	if (arch_dump_thread(w->th->tid, &regs, core))
		return -1;
	unsaved_told(w);
	if (creds_dump(w) || signals_told(w) || prctl_told(w) || timers_told(w))
		return -1;
	return limits_dump(w) || sched_dump(w) || prctl_dump(w) || rseq_dump(w) ||
			       seccomp_dump(w) || signals_dump(w)
		       ? -1
		       : 0;
}

/* W's program has been started; is waited for in any case. */
static int dump_thread(struct part *w, bool go_on)
{
	struct proc_status st;
	int ret;

	if (!go_on || read_status(w->t, w->th, &st)) {
		prog_wait(w->p);
		return -1;
	}
	w->status = &st;
	ret = prog_wait(w->p) || finish_thread(w) ? -1 : 0;
	proc_status_free(&st);
	return ret;
}

int core_dump(struct op *op, struct task *t)
{
	cleanup_free struct part *parts = NULL;
	unsigned started;
	int ret = 0;

	if (!task_alive(t))
		return new_core(
			&(struct part){ .op = op, .t = t, .th = leader(t), .leader = true });
	parts = xcalloc(t->nr_threads, sizeof(*parts));
	if (!parts)
		return -1;
	for (started = 0; started < t->nr_threads; started++) {
		struct thread *th = &t->threads[started];

		parts[started] = (struct part){
			.op = op, .t = t, .th = th, .p = th->puppet, .leader = !started
		};
		if (start_interview(&parts[started]))
			break;
	}
	if (started < t->nr_threads)
		ret = -1;
	for (unsigned i = 0; i < started; i++)
		ret |= dump_thread(&parts[i], !ret);
	return ret;
}

int core_write(struct op *op, struct task *t)
{
	for_each_thread (th, t) {
		TaskKobjIdsEntry *ids = th->core->ids;
		int ret;

		th->core->ids = NULL; /* they have an image of their own */
		ret = image_write_one(op->images, IMG_CORE, th->vtid, &th->core->base);
		th->core->ids = ids;
		if (ret)
			return -1;
	}
	return seccomp_write(op);
}

/* ---- restore ---- */

static int check_core(struct op *op, struct thread *th, bool is_leader)
{
	const CoreEntry *core = th->core;

	if (arch_check_core(core))
		return -1;
	if (!core->thread_core) {
		pr_err("core image has no thread_core");
		return -1;
	}
	if (creds_check(core) || signals_check(core, is_leader) || seccomp_check(op, core))
		return -1;
	return is_leader ? timers_check(core) : 0;
}

static int read_thread(struct op *op, struct task *t, struct thread *th)
{
	bool is_leader = th == leader(t);

	if (image_read_one(op->images, IMG_CORE, th->vtid, (ProtobufCMessage **)&th->core))
		return -1;
	if (is_leader && !th->core->tc) {
		pr_err("core-%d.img has no task_core: it is not of a process's main thread",
		       th->vtid);
		return -1;
	}
	if (is_leader) {
		const TaskCoreEntry *tc = th->core->tc;

		if (tc->task_state != TASK_ALIVE && tc->task_state != TASK_DEAD &&
		    tc->task_state != TASK_STOPPED) {
			pr_err("core-%d.img: task state %u is unknown", th->vtid, tc->task_state);
			return -1;
		}
		t->state = tc->task_state;
		t->exit_code = tc->exit_code;
		t->stop_signo = tc->has_stop_signo ? tc->stop_signo : SIGSTOP;
	}
	if (t->state == TASK_DEAD)
		return 0;
	if (check_core(op, th, is_leader)) {
		pr_err("core-%d.img cannot be restored", th->vtid);
		return -1;
	}
	return 0;
}

int core_read(struct op *op, struct task *t)
{
	for_each_thread (th, t)
		if (read_thread(op, t, th))
			return -1;
	return 0;
}

/*
 * EACH builds the program of a thread. The programs of all threads of T run at the same time: waking up the threads one after the
 * other would cost more than what they do.
 */
static int for_threads(struct op *op, struct task *t, int (*each)(struct part *w))
{
	struct proc_status st;
	unsigned started;
	int ret = 0;

	/* the threads were cloned by the leader's puppet and are like it */
	if (read_status(t, leader(t), &st))
		return -1;
	for (started = 0; started < t->nr_threads && !ret; started++) {
		struct thread *th = &t->threads[started];
		struct part w = { .op = op,
				  .t = t,
				  .th = th,
				  .p = th->puppet,
				  .leader = !started,
				  .status = &st };

		prog_reset(w.p);
		if (each(&w) || (w.p->nr_calls && prog_start(w.p))) {
			ret = -1;
			break;
		}
	}
	for (unsigned i = 0; i < started; i++)
		if (t->threads[i].puppet->nr_calls)
			ret |= prog_wait(t->threads[i].puppet);
	proc_status_free(&st);
	return ret;
}

static int restore_thread(struct part *w)
{
	return signals_restore(w) || prctl_restore(w) || timers_restore(w) ? -1 : 0;
}

int core_restore(struct op *op, struct task *t)
{
	return for_threads(op, t, restore_thread);
}

/*
 * rseq touches memory, which may be lazy: the daemon is there by now. Limits come after what they might forbid, credentials
 * after what needs privilege, and what a change of credentials resets after those. Filters are suspended while we trace.
 */
static int restore_thread_late(struct part *w)
{
	if (rseq_restore(w) || timers_restore_late(w) || signals_restore_late(w) ||
	    prctl_restore_proc(w) || seccomp_restore_late(w))
		return -1;
	if (w->leader) {
		if (prog_run(w->p) || limits_restore_late(w))
			return -1;
		prog_reset(w->p);
	}
	return sched_restore_late(w) || creds_restore_late(w) || prctl_restore_late(w) ? -1 : 0;
}

int core_restore_late(struct op *op, struct task *t)
{
	return for_threads(op, t, restore_thread_late);
}

int core_restore_fpu_and_mask(struct op *op, struct thread *th)
{
	const CoreEntry *core = th->core;
	uint64_t mask = core->thread_core->has_blk_sigset || !core->tc
				? core->thread_core->blk_sigset
				: core->tc->blk_sigset;

	if (arch_restore_fpu(th->tid, core))
		return -1;
	if (!ptrace(PTRACE_SETSIGMASK, th->tid, sizeof(mask), &mask))
		return 0;
	pr_perror("thread %d: cannot set its signal mask", th->vtid);
	return -1;
}
