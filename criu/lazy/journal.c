// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/journal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/log.h"
#include "util/xmalloc.h"

/* Address space only: a page of it costs memory when it is first written. */
#define JOURNAL_SIZE (64UL << 20)

struct record {
	uint16_t kind;	  /* enum journal_kind; 0: nothing here */
	uint16_t stopped; /* TASK */
	int32_t uffd;
	int32_t pid_or_nr; /* TASK: pid. MESSAGE: how many follow; at the end of the journal 0 while they are being read */
	int32_t pidfd;
	struct uffd_msg msgs[];
};
_Static_assert(sizeof(struct record) == 16, "records are aligned");

/* What is written before it is there before what is written after it, for whoever looks when this process is dead. */
#define in_order() atomic_signal_fence(memory_order_seq_cst)

struct journal *journal_new(void)
{
	struct journal *j = mmap(NULL, JOURNAL_SIZE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (j == MAP_FAILED) {
		pr_perror("Can't make the journal");
		return NULL;
	}
	j->epoll = j->restore = j->urgent = j->bulk = -1;
	return j;
}

static struct record *tail(struct journal *j)
{
	return (struct record *)(j->log + j->used);
}

/* Is there room for a read and for what may follow it? */
static bool room(struct journal *j)
{
	size_t need = 4 * (sizeof(struct record) + JOURNAL_BATCH * sizeof(struct uffd_msg));

	if (sizeof(*j) + j->used + need <= JOURNAL_SIZE)
		return true;
	if (!j->full)
		pr_warn("The tasks have changed their mappings so often that the journal is full: "
			"if this process dies, or loses its server, they cannot go on");
	j->full = true;
	return false;
}

/* The record at the tail, of SIZE bytes, counts from now on. */
static void keep(struct journal *j, size_t size)
{
	((struct record *)(j->log + j->used + size))->kind = 0;
	in_order();
	j->used += size;
}

/* WHAT, and M behind it where there is one. */
static void add(struct journal *j, const struct record *what, const struct uffd_msg *m)
{
	struct record *r = tail(j);

	if (!room(j))
		return;
	r->kind = 0;
	in_order();
	r->stopped = what->stopped;
	r->uffd = what->uffd;
	r->pid_or_nr = what->pid_or_nr;
	r->pidfd = what->pidfd;
	if (m) {
		r->msgs[0] = *m;
		r->msgs[1].event = 0; /* as after a read: see journal_replay() */
	}
	in_order();
	r->kind = what->kind;
	keep(j, sizeof(*r) + (m ? sizeof(*m) : 0));
}

void journal_task(struct journal *j, int uffd, pid_t pid, int pidfd, bool stopped)
{
	add(j,
	    &(struct record){ .kind = JOURNAL_TASK,
			      .stopped = stopped,
			      .uffd = uffd,
			      .pid_or_nr = pid,
			      .pidfd = pidfd },
	    NULL);
}

void journal_end(struct journal *j, int uffd)
{
	add(j, &(struct record){ .kind = JOURNAL_END, .uffd = uffd, .pidfd = -1 }, NULL);
}

void journal_quiet(struct journal *j, int uffd)
{
	add(j, &(struct record){ .kind = JOURNAL_QUIET, .uffd = uffd, .pidfd = -1 }, NULL);
}

void journal_also(struct journal *j, int uffd, const struct uffd_msg *m)
{
	add(j, &(struct record){ .kind = JOURNAL_MESSAGE, .uffd = uffd, .pid_or_nr = 1 }, m);
}

static bool has_changes(const struct record *r)
{
	for (int i = 0; i < r->pid_or_nr; i++)
		if (r->msgs[i].event != UFFD_EVENT_PAGEFAULT)
			return true;
	return false;
}

ssize_t journal_read(struct journal *j, int uffd, const struct uffd_msg **msgs)
{
	struct record *r = tail(j);
	ssize_t n;

	room(j); /* where it is full, the last place is used again and again */
	r->kind = 0;
	in_order();
	for (unsigned i = 0; i < JOURNAL_BATCH; i++)
		r->msgs[i].event = 0;
	r->uffd = uffd;
	r->pid_or_nr = 0;
	in_order();
	r->kind = JOURNAL_MESSAGE;
	in_order();
	do
		n = read(uffd, r->msgs, JOURNAL_BATCH * sizeof(*r->msgs));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n;
	n /= sizeof(*r->msgs);
	r->pid_or_nr = n;
	in_order();
	*msgs = r->msgs;
	if (!j->full && has_changes(r))
		keep(j, sizeof(*r) + n * sizeof(*r->msgs));
	return n;
}

static int replay_messages(const struct record *r, int nr,
			   int (*fn)(const struct journal_event *e, void *arg), void *arg)
{
	for (int i = 0; i < nr; i++) {
		struct journal_event e = {
			.kind = JOURNAL_MESSAGE, .uffd = r->uffd, .pidfd = -1, .msg = &r->msgs[i]
		};
		int ret = r->msgs[i].event == UFFD_EVENT_PAGEFAULT ? 0 : fn(&e, arg);

		if (ret)
			return ret;
	}
	return 0;
}

int journal_replay(struct journal *j, int (*fn)(const struct journal_event *e, void *arg),
		   void *arg)
{
	const struct record *r;
	int nr = 0, ret;

	for (size_t at = 0; at < j->used;) {
		r = (struct record *)(j->log + at);
		at += sizeof(*r);
		if (r->kind == JOURNAL_MESSAGE) {
			at += r->pid_or_nr * sizeof(*r->msgs);
			ret = replay_messages(r, r->pid_or_nr, fn, arg);
		} else {
			struct journal_event e = { r->kind,  r->uffd,	 r->pid_or_nr,
						   r->pidfd, r->stopped, NULL };

			ret = fn(&e, arg);
		}
		if (ret)
			return ret;
	}
	/* the read that was the last thing the dead one did */
	r = tail(j);
	if (r->kind != JOURNAL_MESSAGE)
		return 0;
	while (nr < JOURNAL_BATCH && r->msgs[nr].event)
		nr++;
	ret = replay_messages(r, nr, fn, arg);
	if (!ret && nr) {
		tail(j)->pid_or_nr = nr;
		keep(j, sizeof(*r) + nr * sizeof(*r->msgs));
	}
	return ret;
}

struct pidfds {
	int *v;
	size_t nr, cap;
	bool but_stopped;
	pid_t root_id;
};

static int collect_pidfd(const struct journal_event *e, void *arg)
{
	struct pidfds *p = arg;

	if (e->kind != JOURNAL_TASK || e->pidfd < 0 || (p->but_stopped && e->stopped))
		return 0;
	if (xgrow(&p->v, &p->cap, p->nr, sizeof(*p->v)))
		return -1;
	if (!p->nr)
		p->root_id = e->pid;
	p->v[p->nr++] = e->pidfd;
	return 0;
}

void journal_signal_tasks(struct journal *j, int signo)
{
	struct pidfds p = { .but_stopped = signo == SIGCONT };

	journal_replay(j, collect_pidfd, &p);
	/* restore tells of parents first */
	while (p.nr--)
		syscall(SYS_pidfd_send_signal, p.v[p.nr], signo, NULL, 0);
	free(p.v);
}

int *journal_pidfds(struct journal *j, size_t *nr, pid_t *root_id)
{
	struct pidfds p = { 0 };

	journal_replay(j, collect_pidfd, &p);
	*nr = p.nr;
	*root_id = p.root_id;
	return p.v;
}
