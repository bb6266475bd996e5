// SPDX-License-Identifier: GPL-2.0-only
/* Signals: actions, alternate stacks, and those that are pending (sigaction(2), sigaltstack(2), rt_sigqueueinfo(2)). */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "remote/arena.h"
#include "remote/trace.h"
#include "task/core.h"
#include "task/parts.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define SIGSET_SIZE 8
#define NR_ACTIONS  (NR_SIGNALS - 2)

/* Signals whose action can be set, in the order of the image. */
static bool has_action(int sig)
{
	return sig != SIGKILL && sig != SIGSTOP;
}

void signals_ask(struct part *w)
{
	uint64_t remote = prog_data(w->p, sizeof(*w->altstack), &w->altstack);

	prog_add(w->p, RC_STOP, __NR_sigaltstack, 0, remote);
	if (!w->leader)
		return;
	remote = prog_data(w->p, NR_SIGNALS * sizeof(*w->sigactions), &w->sigactions);
	for (int sig = 1; sig <= NR_SIGNALS; sig++)
		if (has_action(sig))
			prog_add(w->p, RC_STOP, __NR_rt_sigaction, sig, 0,
				 remote + (sig - 1) * sizeof(*w->sigactions), SIGSET_SIZE);
}

static int actions_told(struct part *w)
{
	TaskCoreEntry *tc = w->th->core->tc;

	tc->sigactions = xcalloc(NR_ACTIONS, sizeof(*tc->sigactions));
	if (!tc->sigactions)
		return -1;
	for (int sig = 1; sig <= NR_SIGNALS; sig++) {
		const struct kernel_sigaction *act = &w->sigactions[sig - 1];
		SaEntry *e;

		if (!has_action(sig))
			continue;
		if (!PB_NEW(e, sa_entry__init))
			return -1;
		tc->sigactions[tc->n_sigactions++] = e;
		/* the stub's trap makes an ignored SIGTRAP a default one, until the puppet is cured */
		e->sigaction = sig == SIGTRAP && w->p->arena->trap_ignored ? (uint64_t)SIG_IGN
									   : act->handler;
		e->flags = act->flags;
		e->restorer = act->restorer;
		e->mask = act->mask;
		e->has_compat_sigaction = true;
	}
	return 0;
}

int signals_told(struct part *w)
{
	ThreadCoreEntry *tc = w->th->core->thread_core;

	if (!PB_NEW(tc->sas, thread_sas_entry__init))
		return -1;
	tc->sas->ss_sp = (uintptr_t)w->altstack->ss_sp;
	tc->sas->ss_size = w->altstack->ss_size;
	tc->sas->ss_flags = w->altstack->ss_flags;
	if (w->leader) {
		w->th->core->tc->blk_sigset = w->p->saved_sigmask;
		return actions_told(w);
	}
	tc->has_blk_sigset = true;
	tc->blk_sigset = w->p->saved_sigmask;
	return 0;
}

static int add_signal(SignalQueueEntry *q, size_t *cap, const siginfo_t *si)
{
	SiginfoEntry *e;

	if (xgrow(&q->signals, cap, q->n_signals, sizeof(*q->signals)) ||
	    !PB_NEW(e, siginfo_entry__init))
		return -1;
	q->signals[q->n_signals++] = e;
	e->siginfo.data = xmalloc(sizeof(*si));
	if (!e->siginfo.data)
		return -1;
	e->siginfo.len = sizeof(*si);
	memcpy(e->siginfo.data, si, sizeof(*si));
	return 0;
}

/* One queue, in order. SHARED: the process's, else the thread's own. */
static int dump_queue(pid_t tid, bool shared, SignalQueueEntry **queue)
{
	siginfo_t si[32];
	struct __ptrace_peeksiginfo_args args = { .flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0,
						  .nr = ARRAY_SIZE(si) };
	SignalQueueEntry *q;
	size_t cap = 0;
	long nr;

	if (!PB_NEW(q, signal_queue_entry__init))
		return -1;
	*queue = q;
	while ((nr = ptrace(PTRACE_PEEKSIGINFO, tid, &args, si)) > 0) {
		for (long i = 0; i < nr; i++)
			if (add_signal(q, &cap, &si[i]))
				return -1;
		args.off += nr;
	}
	if (nr < 0) {
		pr_perror("task %d: cannot read its pending signals", tid);
		return -1;
	}
	return 0;
}

static bool is_pending(const SignalQueueEntry *q, int signo, int code, int timer)
{
	for (size_t i = 0; i < q->n_signals; i++) {
		const siginfo_t *si = (const siginfo_t *)q->signals[i]->siginfo.data;

		if (si->si_signo == signo && si->si_code == code &&
		    (code != SI_TIMER || si->si_timerid == timer))
			return true;
	}
	return false;
}

/* Longer than it can take from reading the timers to reading the queue, and no wait that matters. */
#define SOON_US 50000
static bool soon(uint64_t sec, uint64_t us)
{
	return !sec && us < SOON_US;
}

/*
 * Timers go on while a task is frozen. One that went off once and for all between being read and this has its signal in the
 * queue and must not go off again. A periodic ITIMER_REAL is started again by the kernel when its signal is taken off the queue,
 * which another process does not know: there it must be running.
 */
static void settle_timers(const CoreEntry *core)
{
	const SignalQueueEntry *q = core->tc->signals_s;
	TaskTimersEntry *timers = core->tc->timers;
	ItimerEntry *real = timers->real;

	if (soon(real->vsec, real->vusec) && is_pending(q, SIGALRM, SI_KERNEL, 0)) {
		real->vsec = real->isec;
		real->vusec = real->iusec;
	}
	for (size_t i = 0; i < timers->n_posix; i++) {
		PosixTimerEntry *e = timers->posix[i];

		if (!e->isec && !e->insec && soon(e->vsec, e->vnsec / 1000) &&
		    is_pending(q, e->si_signo, SI_TIMER, e->it_id))
			e->vsec = e->vnsec = 0;
	}
}

int signals_dump(struct part *w)
{
	CoreEntry *core = w->th->core;

	if (dump_queue(w->th->tid, false, &core->thread_core->signals_p))
		return -1;
	if (!w->leader)
		return 0;
	if (dump_queue(w->th->tid, true, &core->tc->signals_s))
		return -1;
	settle_timers(core);
	return 0;
}

static int check_queue(const SignalQueueEntry *q)
{
	for (size_t i = 0; q && i < q->n_signals; i++) {
		const siginfo_t *si = (const siginfo_t *)q->signals[i]->siginfo.data;

		if (q->signals[i]->siginfo.len != sizeof(*si)) {
			pr_err("core image: siginfo of pending signal %zu has %zu bytes instead of "
			       "%zu",
			       i, q->signals[i]->siginfo.len, sizeof(*si));
			return -1;
		}
		if (si->si_signo < 1 || si->si_signo > NR_SIGNALS) {
			pr_err("core image: signal %d cannot be pending", si->si_signo);
			return -1;
		}
	}
	return 0;
}

int signals_check(const CoreEntry *core, bool leader)
{
	if (leader && core->tc->n_sigactions != NR_ACTIONS) {
		pr_err("core image has %zu signal actions instead of %d", core->tc->n_sigactions,
		       NR_ACTIONS);
		return -1;
	}
	if (leader && check_queue(core->tc->signals_s))
		return -1;
	return check_queue(core->thread_core->signals_p);
}

/* Only what is not default, or is not in the puppet (which has what criu had when it made it). */
static int restore_actions(struct part *w)
{
	const TaskCoreEntry *tc = w->th->core->tc;
	uint64_t set = w->status->sig_ign | w->status->sig_cgt;
	unsigned i = 0;

	for (int sig = 1; sig <= NR_SIGNALS; sig++) {
		const SaEntry *e;
		struct kernel_sigaction act;

		if (!has_action(sig))
			continue;
		e = tc->sigactions[i++];
		act = (struct kernel_sigaction){ e->sigaction, e->flags, e->restorer, e->mask };
		if (sig == SIGTRAP && act.handler == (uintptr_t)SIG_IGN)
			continue; /* core_restore_trap() */
		if (!(set >> (sig - 1) & 1) && !act.handler && !act.flags && !act.restorer &&
		    !act.mask)
			continue;
		if (part_room(w, 1, sizeof(act)))
			return -1;
		prog_add(w->p, RC_STOP, __NR_rt_sigaction, sig, prog_buf(w->p, &act, sizeof(act)),
			 0, SIGSET_SIZE);
	}
	return 0;
}

/* The stub's trap makes an ignored SIGTRAP a default one (force_sig() in the kernel), so this comes when no stub runs any more. */
int core_restore_trap(struct op *op, struct task *t, uint64_t ip)
{
	const SaEntry *e = leader(t)->core->tc->sigactions[SIGTRAP - 1];
	struct kernel_sigaction act = { e->sigaction, e->flags, e->restorer, e->mask };
	struct puppet *p = leader(t)->puppet;
	uint64_t at;
	long ret;

	if (act.handler != (uintptr_t)SIG_IGN)
		return 0;
	prog_reset(p);
	at = prog_buf(p, &act, sizeof(act));
	ret = trace_syscall(p->tid, t->vpid, ip, __NR_rt_sigaction,
			    (uint64_t[6]){ SIGTRAP, at, 0, SIGSET_SIZE });
	if (!ret)
		return 0;
	errno = -ret;
	pr_perror("task %d: cannot set its SIGTRAP to be ignored", t->vpid);
	return -1;
}

int signals_restore(struct part *w)
{
	const ThreadSasEntry *e = w->th->core->thread_core->sas;

	if (e) {
		/* SS_ONSTACK tells where the stack pointer is; it is not set */
		stack_t ss = { .ss_sp = (void *)(uintptr_t)e->ss_sp,
			       .ss_size = e->ss_size,
			       .ss_flags = e->ss_flags & ~SS_ONSTACK };

		if (part_room(w, 1, sizeof(ss)))
			return -1;
		prog_add(w->p, RC_STOP, __NR_sigaltstack, prog_buf(w->p, &ss, sizeof(ss)), 0);
	}
	return w->leader ? restore_actions(w) : 0;
}

/* A task may queue anything to itself, also with an si_code that only the kernel gives. */
static int restore_queue(struct part *w, const SignalQueueEntry *q, bool shared)
{
	for (size_t i = 0; q && i < q->n_signals; i++) {
		const siginfo_t *si = (const siginfo_t *)q->signals[i]->siginfo.data;
		uint64_t remote;

		/* these cannot be blocked and would act on the puppet: the stop follows when it is set free */
		if (!has_action(si->si_signo)) {
			if (si->si_signo == SIGSTOP)
				w->p->pending_stop = SIGSTOP;
			continue;
		}
		if (si->si_signo == SIGTRAP) {
			pr_warn("task %d: its pending SIGTRAP is dropped: criu's own work in it "
				"needs that signal",
				w->t->vpid);
			continue;
		}
		if (part_room(w, 1, sizeof(*si)))
			return -1;
		remote = prog_buf(w->p, si, sizeof(*si));
		if (shared)
			prog_add(w->p, RC_STOP, __NR_rt_sigqueueinfo, w->t->vpid, si->si_signo,
				 remote);
		else
			prog_add(w->p, RC_STOP, __NR_rt_tgsigqueueinfo, w->t->vpid, w->th->vtid,
				 si->si_signo, remote);
	}
	return 0;
}

int signals_restore_late(struct part *w)
{
	const CoreEntry *core = w->th->core;

	if (w->leader && restore_queue(w, core->tc->signals_s, true))
		return -1;
	return restore_queue(w, core->thread_core->signals_p, false);
}

static bool in_queue(const SignalQueueEntry *q, int signo)
{
	for (size_t i = 0; q && i < q->n_signals; i++)
		if (((const siginfo_t *)q->signals[i]->siginfo.data)->si_signo == signo)
			return true;
	return false;
}

bool core_has_pending(const struct task *t, int signo)
{
	if (in_queue(t->threads[0].core->tc->signals_s, signo))
		return true;
	for_each_thread (th, t)
		if (in_queue(th->core->thread_core->signals_p, signo))
			return true;
	return false;
}
