/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lazy-pages daemon inside: one thread and one epoll loop own all userfaultfds and all state, so that there is nothing to lock. What
 * nobody waits for is moved in small turns, with a look at new faults between two of them. (A second thread for that was tried: the lock that keeps copies and
 * discards apart made both slower.)
 *
 * daemon.c: the command, the loop. restoring.c: restore's hand-over. events.c: what the kernel says about the address spaces.
 * space.c, regions.c: what is known of the address spaces. place.c: pages that arrived go where they belong. local.c: pages from images. remote.c: asking a page server. bulk.c: what it pushes. plain.c: what a plain one is asked for. missing.c: what there is to say when it gives up. hugetlb.c: huge pages that can only come whole. collapse.c: transparent ones, at the end. stats.c: what it cost;
 * progress.c and report.c show it.
 */
#ifndef CRIU_LAZY_LAZYD_H
#define CRIU_LAZY_LAZYD_H

#include <stdbool.h>
#include <stdint.h>

#include "lazy/journal.h"
#include "lazy/space.h"
#include "op.h"
#include "lazy/stats.h"

/* What is watched with epoll. */
enum watch_kind {
	WATCH_LISTENER,
	WATCH_RESTORE,
	WATCH_SIGNALS,
	WATCH_SPACE,
	WATCH_URGENT,
	WATCH_BULK
};

struct fault {
	struct space *sp;
	uint64_t addr;
	uint64_t at_ns; /* when it was read */
};

struct remote;
struct lazyd {
	struct journal *j;
	int epoll, listener, restore, signals;
	struct object_list objects;
	struct object_list prepared; /* of tasks that have not been handed over (yet) */
	unsigned nr_spaces; /* with something left to fill, or before restore has finished */
	uint64_t nr_left;   /* pages, over all spaces */
	bool finished;	    /* restore handed everything over */
	bool committed;	    /* and was told so */
	bool dead_spaces;   /* some are to be freed at the end of the round */
	bool unsettled;	    /* of some it is not known yet in which order their mappings changed */
	struct fault *faults; /* read, not yet answered */
	size_t nr_faults, faults_cap;
	struct remote *remote; /* NULL: local images */
	TAILQ_HEAD(, collapse) collapses;
	struct object *cursor; /* local: where the background goes on */
	uint64_t cursor_page;
	bool here_done;		 /* nothing is missing any more of what is in images on this host */
	bool has_hugetlb;	 /* some object has such memory */
	bool changed;		 /* somebody lacks less than before, although nothing came */
	struct hugetlb *hugetlb; /* hugetlb.c's */
	char *buf;		 /* SLICE bytes */
	struct lazy_stats st;
};

/* What is copied at once between two looks at new faults. */
#define SLICE_PAGES 64
#define SLICE	    (SLICE_PAGES * PAGE_SIZE)
/* The most that a sequential fault brings. */
#define MAX_WIDEN 32U

/* ---- daemon.c ---- */
#define LAZY_STAGE(name, call) STAGE("lazy-pages", name, call)
int watch(struct lazyd *d, int fd, enum watch_kind kind, struct space *sp);
void space_ended(
	struct lazyd *d,
	struct space *sp); /* nothing left to fill: its uffd is closed now, the rest later */

void unwatch(struct lazyd *d, int *fd); /* closes it too */

/* ---- restoring.c ---- */
/* Reads the pagemaps before restore comes: its tasks stand still while they are read. -1 logged: they are of no use. */
int restore_prepare(struct lazyd *d);
int restore_accept(struct lazyd *d);
int restore_message(struct lazyd *d);
/* A new worker: what the dead one knew. */
int restore_take_over(struct lazyd *d);
/* The source keeps the tasks, or was never asked: restore is told so, and those here end. */
void restore_refuse(struct lazyd *d);
/* Only what the journal says: the spaces and where their pages belong. -1 logged. */
int restore_replay(struct lazyd *d);
int restore_answer(struct lazyd *d); /* the source has agreed: restore may let the tasks run */

/* ---- events.c ---- */
/* What a message about changed mappings means. -1 logged. */
int mapping_changed(struct lazyd *d, struct space *sp, const struct uffd_msg *m);
/* All changes of SP have been told. */
void settled(struct lazyd *d, struct space *sp);
/* After each round: looks which spaces are settled by now. -1 logged. */
int settle_spaces(struct lazyd *d);
/* Before what belongs to the source bytes from SRC to END, and comes only once, is put into SP: waits until it is known where. -1 logged. */
int settle_space(struct lazyd *d, struct space *sp, uint64_t src, uint64_t end);
/* Nothing is missing in SP any more: it ends, unless a child of it is unsettled. */
void end_if_complete(struct lazyd *d, struct space *sp);
/* Reads all messages of SP: changes of its mappings take effect, faults go to the queue. 1: something was read, 0: nothing, -1 logged */
int events_read(struct lazyd *d, struct space *sp);
/* Answers the queued faults, or asks for their pages. */
int faults_answer(struct lazyd *d);

/* ---- place.c ---- */
/* DATA (NULL: zeros) for NR_PAGES from source address SRC, into every space of OBJ that still lacks them. */
int place_pages(struct lazyd *d, struct object *obj, uint64_t src, const void *data,
		uint64_t nr_pages, enum arrival why);

/* A huge page of hugetlb that is complete, in the same way. */
int place_huge(struct lazyd *d, struct object *obj, uint64_t src, const void *data,
	       enum arrival why);

/* ---- hugetlb.c ---- */
/* Does SP lack the huge page at source address SRC? */
bool hugetlb_lacks(struct space *sp, uint64_t src);
/* A fault of SP, which lacks the huge page that SRC belongs to, at AT_NS. -1 logged */
int hugetlb_fault(struct lazyd *d, struct space *sp, uint64_t src, uint64_t at_ns);
/* Small pages of such memory; DATA NULL: zeros. -1 logged */
int hugetlb_arrived(struct lazyd *d, struct object *obj, uint64_t src, const char *data,
		    uint64_t nr_pages);
/* Once per round: the next huge pages. 1: did something, 0: nothing to do now, -1 logged */
int hugetlb_turn(struct lazyd *d);
/* The server is about to push: what has been asked for already it would leave out, unless it is wanted. */
int hugetlb_pushed(struct lazyd *d);

/* ---- local.c ---- */
/* NR pages from SRC out of the images here, into BUF. */
int local_fetch(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr, char *buf);
int local_fault(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages);
/* The next slice of what is missing. 1: did something, 0: nothing is missing, -1 logged. */
int local_background(struct lazyd *d);

/* ---- remote.c ---- */
int remote_connect(struct lazyd *d);
/* A fault: asks for NR_PAGES from SRC of OBJ, AT_NS the time of the fault. */
int remote_ask(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages,
	       uint64_t at_ns);
/* For hugetlb: asks for pages that are not counted as a fault's; has them pushed; will they be; may more be asked for now? */
int remote_fetch(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages);
int remote_want(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages);
bool remote_pushes(const struct lazyd *d);
bool remote_takes_more(const struct lazyd *d);
int remote_flush(struct lazyd *d); /* sends what remote_ask() collected */
/* Pages of OBJ that nobody wants any more. */
void remote_unwant(struct lazyd *d, struct object *obj, uint64_t src, uint64_t nr_pages);
/* Restore is about to let the tasks run: asks the source to agree. D->committed is set when it has. */
int remote_commit(struct lazyd *d);
/* Begins to fetch what is left. */
int remote_start(struct lazyd *d);
/* Reads what there is on the urgent connection. -1 logged. */
int remote_urgent(struct lazyd *d);
/* Reads or places the next part of what the server pushes. 1: something was done, 0: nothing is there, -1 logged. */
int remote_bulk(struct lazyd *d);
bool remote_has_bulk(const struct lazyd *d);
/* So many questions are unanswered that faults wait for their turn; there is room for what a huge page and the background ask. */
bool remote_full(const struct lazyd *d);
bool remote_waiting(struct lazyd *d); /* answers to faults are under way */
/* Everything is in place, or nothing will be: tells the server. */
int remote_close(struct lazyd *d, bool failed);
/* The connection is of no use any more. */
void remote_drop(struct lazyd *d);

/* ---- collapse.c ---- */
/* SP is complete: what was in huge pages is to be joined at the end. */
void collapse_later(struct lazyd *d, struct space *sp);
/* Joins it, for a while. Everything else is done. */
void collapse_all(struct lazyd *d);

/* ---- missing.c ---- */
/* The pid of a restored task on this host, 0: not known. */
pid_t space_pid(const struct space *sp);
/* In the work directory, when the daemon has given up. */
#define MISSING_FILE "missing-pages.json"
/* Writes it, and j->nr_left. -1 logged. */
int missing_report(struct lazyd *d);
void missing_forget(void); /* it is not true any more */

#endif
