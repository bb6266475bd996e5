/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a new worker must know when the one before it has died at any instant (supervise.h): in memory that all processes of the
 * daemon share, and written so that it is right whenever the writer stops.
 *
 * The journal has every task that restore handed over, every space that came to its end, and every message about changed mappings: they are read(2) from the
 * userfaultfd right into it, so that there is no moment at which a message has left the kernel and is not here. Faults are not kept: who waits is woken, and
 * faults again. Nor is which pages are in place: the kernel knows (EEXIST).
 */
#ifndef CRIU_LAZY_JOURNAL_H
#define CRIU_LAZY_JOURNAL_H

#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JOURNAL_BATCH 16 /* messages read at once */

struct journal {
	pid_t main, guard, worker;
	int result;	/* of the worker, WORKER_* */
	bool over;	/* the daemon is ending: nobody starts anybody */
	bool ours;	/* restore is of this program: it takes part in what follows */
	bool asked;	/* restore said that it is done: the source may have been told */
	bool sent;	/* the question was sent to it, or may have been */
	bool finished;	/* and was answered: the tasks run */
	bool complete;	/* every page is in place: only the server has to be told */
	bool released;	/* and said that they do, or we saw to it in its place */
	bool hearing;	/* a message of restore's is being taken: who dies now has lost it */
	bool full;	/* more happened than fits: a new worker could not know what */
	bool connected; /* the worker has reached the server, and had pages from it */
	bool extended;	/* the server knows the extensions */
	int epoll, restore, urgent, bulk; /* the worker's descriptors, for the next one to close */
	uint64_t nr_left;		  /* pages, for messages */
	size_t used;			  /* bytes of LOG */
	char log[];
};

/* NULL: logged. */
struct journal *journal_new(void);
/* STOPPED: the task is in a job control stop of its own. */
void journal_task(struct journal *j, int uffd, pid_t pid, int pidfd, bool stopped);
void journal_end(struct journal *j, int uffd); /* before it is closed */
/* What was done about a message: space_quiet(), or that it is also true of UFFD, a child that was told of before it. */
void journal_quiet(struct journal *j, int uffd);
void journal_also(struct journal *j, int uffd, const struct uffd_msg *m);
/*
 * Reads from UFFD. As read(2), in messages: *MSGS points at them until the next call.
 */
ssize_t journal_read(struct journal *j, int uffd, const struct uffd_msg **msgs);

/* What happened, in order. */
struct journal_event {
	enum journal_kind { JOURNAL_TASK = 1, JOURNAL_END, JOURNAL_MESSAGE, JOURNAL_QUIET } kind;
	int uffd;
	pid_t pid;    /* TASK */
	int pidfd;    /* TASK; -1 */
	bool stopped; /* TASK */
	const struct uffd_msg *msg;
};
/* Calls FN for each event until it returns other than 0, which is returned. */
int journal_replay(struct journal *j, int (*fn)(const struct journal_event *e, void *arg),
		   void *arg);
/*
 * A signal for all tasks of which restore gave us a pidfd, children first. SIGCONT does not go to those that were in a job control stop before they were
 * migrated.
 */
void journal_signal_tasks(struct journal *j, int signo);
/* The pidfds of them, as restore told of them: the root first. To be freed. *ROOT_ID: its pid in the images. */
int *journal_pidfds(struct journal *j, size_t *nr, pid_t *root_id);

#endif
