// SPDX-License-Identifier: GPL-2.0-only
/* Interval timers (setitimer(2)) and POSIX timers (timer_create(2)) of a process. */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "task/parts.h"
#include "util/kernel.h"
#include "util/log.h"
#include "util/xmalloc.h"

#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#ifndef PR_TIMER_CREATE_RESTORE_IDS /* Linux 6.15 */
#define PR_TIMER_CREATE_RESTORE_IDS 77
#endif

#define NR_ITIMERS   3
#define TIMERS_A_RUN 256
/* Where ids cannot be chosen they are counted up to, one call each. */
#define MAX_COUNTED_ID 100000

void timers_ask(struct part *w)
{
	uint64_t remote;

	if (!w->leader)
		return;
	remote = prog_data(w->p, NR_ITIMERS * sizeof(*w->itimers), &w->itimers);
	for (int i = 0; i < NR_ITIMERS; i++)
		prog_add(w->p, RC_STOP, __NR_getitimer, i, remote + i * sizeof(*w->itimers));
}

static int itimer_told(ItimerEntry **field, const struct itimerval *it)
{
	ItimerEntry *e;

	if (!PB_NEW(e, itimer_entry__init))
		return -1;
	*field = e;
	e->isec = it->it_interval.tv_sec;
	e->iusec = it->it_interval.tv_usec;
	e->vsec = it->it_value.tv_sec;
	e->vusec = it->it_value.tv_usec;
	return 0;
}

static int vtid_of(const struct task *t, pid_t tid)
{
	for_each_thread (th, t)
		if (th->tid == tid)
			return th->vtid;
	return -1;
}

/* CLOCK_THREAD_CPUTIME_ID as the kernel has it (linux/posix-timers.h): "thread, myself". Whose that is, it does not tell. */
#define OWN_THREAD_CLOCK (-2)

static void warn_thread_clock(const struct task *t, const struct proc_timer *timer)
{
	if (timer->clock == OWN_THREAD_CLOCK && t->nr_threads > 1)
		pr_warn("task %d: POSIX timer %d counts the CPU time of one of its threads; it is "
			"taken for the main thread's, since the kernel does not say whose",
			t->pid, timer->id);
}

/* What /proc says of a timer. */
static int describe(const struct task *t, const struct proc_timer *timer, PosixTimerEntry *e)
{
	e->it_id = timer->id;
	e->clock_id = timer->clock;
	e->si_signo = timer->signo;
	e->it_sigev_notify = timer->notify;
	e->sival_ptr = timer->sival;
	warn_thread_clock(t, timer);
	if (!(timer->notify & SIGEV_THREAD_ID))
		return 0;
	e->has_notify_thread_id = true;
	e->notify_thread_id = vtid_of(t, timer->target);
	if (e->notify_thread_id < 0) {
		pr_err("task %d: POSIX timer %d signals thread %d, which is none of its own",
		       t->pid, timer->id, timer->target);
		return -1;
	}
	return 0;
}

/* What only the task can say: time left and overruns of NR timers from FIRST on. */
static int dump_values(struct part *w, const struct proc_timer *first, unsigned nr)
{
	TaskTimersEntry *timers = w->th->core->tc->timers;
	struct itimerspec *its;
	uint64_t remote;

	prog_reset(w->p);
	remote = prog_data(w->p, nr * sizeof(*its), &its);
	for (unsigned i = 0; i < nr; i++) {
		prog_add(w->p, RC_STOP, __NR_timer_gettime, first[i].id, remote + i * sizeof(*its));
		prog_add(w->p, RC_STOP, __NR_timer_getoverrun, first[i].id);
	}
	if (prog_run(w->p))
		return -1;
	for (unsigned i = 0; i < nr; i++) {
		PosixTimerEntry *e;

		if (!PB_NEW(e, posix_timer_entry__init))
			return -1;
		timers->posix[timers->n_posix++] = e;
		if (describe(w->t, &first[i], e))
			return -1;
		e->overrun = prog_ret(w->p, 2 * i + 1);
		e->isec = its[i].it_interval.tv_sec;
		e->insec = its[i].it_interval.tv_nsec;
		e->vsec = its[i].it_value.tv_sec;
		e->vnsec = its[i].it_value.tv_nsec;
	}
	return 0;
}

static int dump_posix(struct part *w)
{
	TaskTimersEntry *timers = w->th->core->tc->timers;
	cleanup_free struct proc_timer *v = NULL;
	char path[64];
	size_t nr;

	if (proc_read_timers(part_proc(w->t), part_path(w, "timers", path), &v, &nr))
		return -1;
	if (!nr)
		return 0;
	timers->posix = xcalloc(nr, sizeof(*timers->posix));
	if (!timers->posix)
		return -1;
	for (size_t i = 0; i < nr; i += TIMERS_A_RUN)
		if (dump_values(w, v + i, min(nr - i, (size_t)TIMERS_A_RUN)))
			return -1;
	return 0;
}

int timers_told(struct part *w)
{
	TaskCoreEntry *tc = w->th->core->tc;

	if (!w->leader)
		return 0;
	if (!PB_NEW(tc->timers, task_timers_entry__init) ||
	    itimer_told(&tc->timers->real, &w->itimers[ITIMER_REAL]) ||
	    itimer_told(&tc->timers->virt, &w->itimers[ITIMER_VIRTUAL]) ||
	    itimer_told(&tc->timers->prof, &w->itimers[ITIMER_PROF]))
		return -1;
	return dump_posix(w);
}

static bool valid_itimer(const ItimerEntry *e)
{
	return e->iusec < 1000000 && e->vusec < 1000000;
}

int timers_check(const CoreEntry *core)
{
	const TaskTimersEntry *timers = core->tc->timers;

	if (!timers)
		return 0;
	if (!valid_itimer(timers->real) || !valid_itimer(timers->virt) ||
	    !valid_itimer(timers->prof)) {
		pr_err("core image: an interval timer has 1000000 microseconds or more");
		return -1;
	}
	for (size_t i = 0; i < timers->n_posix; i++) {
		const PosixTimerEntry *e = timers->posix[i];

		if (e->insec >= 1000000000 || e->vnsec >= 1000000000 || e->it_id > INT32_MAX) {
			pr_err("core image: POSIX timer %u is not valid", e->it_id);
			return -1;
		}
	}
	return 0;
}

static void create_timer(struct part *w, const PosixTimerEntry *e, int32_t **id)
{
	struct sigevent se = { .sigev_notify = e->it_sigev_notify, .sigev_signo = e->si_signo };
	uint64_t remote_se, remote_id = prog_data(w->p, sizeof(**id), id);

	se.sigev_value.sival_ptr = (void *)(uintptr_t)e->sival_ptr;
	if (e->has_notify_thread_id)
		se.sigev_notify_thread_id = e->notify_thread_id;
	remote_se = prog_buf(w->p, &se, sizeof(se));
	**id = e->it_id;
	prog_add(w->p, RC_STOP, __NR_timer_create, e->clock_id, remote_se, remote_id);
}

/* The kernel takes the id from where it would write it. */
static int create_by_id(struct part *w, const TaskTimersEntry *timers)
{
	int32_t *id;

	prog_add(w->p, RC_STOP, __NR_prctl, PR_TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0);
	for (size_t i = 0; i < timers->n_posix; i++) {
		if (part_room(w, 2, sizeof(struct sigevent) + 32))
			return -1;
		create_timer(w, timers->posix[i], &id);
	}
	prog_add(w->p, RC_STOP, __NR_prctl, PR_TIMER_CREATE_RESTORE_IDS, 0, 0, 0, 0);
	return 0;
}

static int cmp_id(const void *a, const void *b)
{
	const PosixTimerEntry *x = *(PosixTimerEntry *const *)a, *y = *(PosixTimerEntry *const *)b;

	return x->it_id < y->it_id ? -1 : x->it_id > y->it_id;
}

/* Older kernels count ids up from 0: those between are made and deleted. (And they list them backwards.) */
int timers_create_by_counting(struct part *w)
{
	const TaskTimersEntry *timers = w->th->core->tc->timers;
	unsigned next = 0;
	int32_t *id;

	qsort(timers->posix, timers->n_posix, sizeof(*timers->posix), cmp_id);
	for (size_t i = 0; i < timers->n_posix; i++) {
		const PosixTimerEntry *e = timers->posix[i];

		if (e->it_id < next) {
			pr_err("task %d: two POSIX timers have id %u", w->t->vpid, e->it_id);
			return -1;
		}
		if (e->it_id > MAX_COUNTED_ID) {
			pr_err("task %d: POSIX timer %u cannot be made: this kernel gives ids in "
			       "order, and counting so far is too long",
			       w->t->vpid, e->it_id);
			return -1;
		}
		for (; next < e->it_id; next++) {
			if (part_room(w, 2, 32))
				return -1;
			prog_add(w->p, RC_STOP, __NR_timer_create, CLOCK_MONOTONIC, 0,
				 prog_data(w->p, sizeof(*id), &id));
			prog_add(w->p, RC_STOP, __NR_timer_delete, next);
		}
		if (part_room(w, 1, sizeof(struct sigevent) + 32))
			return -1;
		create_timer(w, e, &id);
		if (prog_run(w->p))
			return -1;
		if (*id != (int32_t)e->it_id) {
			pr_err("task %d: POSIX timer %u became %d", w->t->vpid, e->it_id, *id);
			return -1;
		}
		prog_reset(w->p);
		next++;
	}
	return 0;
}

int timers_restore(struct part *w)
{
	const TaskTimersEntry *timers;

	if (!w->leader || !(timers = w->th->core->tc->timers) || !timers->n_posix)
		return 0;
	return kernel_has(K_TIMER_CR_IDS) ? create_by_id(w, timers) : timers_create_by_counting(w);
}

static int start_itimer(struct part *w, int which, const ItimerEntry *e)
{
	struct itimerval it = { { e->isec, e->iusec }, { e->vsec, e->vusec } };

	/*
	 * A periodic ITIMER_REAL stands still from its expiry until its signal is taken: dumped in between it has no time
	 * left. It expires again at once; its signal, pending already, is the same one.
	 */
	if (which == ITIMER_REAL && !e->vsec && !e->vusec && (e->isec || e->iusec))
		it.it_value.tv_usec = 1;
	else if (!e->vsec && !e->vusec)
		return 0;
	if (part_room(w, 1, sizeof(it)))
		return -1;
	prog_add(w->p, RC_STOP, __NR_setitimer, which, prog_buf(w->p, &it, sizeof(it)), 0);
	return 0;
}

int timers_restore_late(struct part *w)
{
	const TaskTimersEntry *timers;

	if (!w->leader || !(timers = w->th->core->tc->timers))
		return 0;
	if (start_itimer(w, ITIMER_REAL, timers->real) ||
	    start_itimer(w, ITIMER_VIRTUAL, timers->virt) ||
	    start_itimer(w, ITIMER_PROF, timers->prof))
		return -1;
	for (size_t i = 0; i < timers->n_posix; i++) {
		const PosixTimerEntry *e = timers->posix[i];
		struct itimerspec its = { { e->isec, e->insec }, { e->vsec, e->vnsec } };

		if (!e->vsec && !e->vnsec)
			continue;
		if (part_room(w, 1, sizeof(its)))
			return -1;
		prog_add(w->p, RC_STOP, __NR_timer_settime, e->it_id, 0,
			 prog_buf(w->p, &its, sizeof(its)), 0);
	}
	return 0;
}
