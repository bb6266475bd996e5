// SPDX-License-Identifier: GPL-2.0-only
/*
 * The report of a daemon that gives up: which pages its tasks lack, as JSON in the work directory. What belonged where is known from the journal; what
 * has come is asked of the kernel, for each task whose pid is known. A forked child is known by its userfaultfd only: of it everything is listed that may
 * be missing, and it is marked as not exact.
 *
 * Read by crit x DIR missing (criu/crit/missing.c), and by whoever likes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lazy/lazyd.h"
#include "lazy/uffd.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define TEMPORARY MISSING_FILE ".new"
/* /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst): a word per page */
#define IN_PLACE (3ULL << 62) /* present, or swapped out */
#define WORDS	 4096

struct report {
	FILE *out;
	uint64_t nr_pages, nr_of_task;
	bool exact;
	uint64_t start, src, nr; /* the range that is being collected */
	bool some_task, some_range;
};

static void end_range(struct report *r)
{
	if (!r->nr)
		return;
	fprintf(r->out, "%s\n    {\"start\": %" PRIu64 ", \"pages\": %" PRIu64,
		r->some_range ? "," : "", r->start, r->nr);
	if (r->src != r->start)
		fprintf(r->out, ", \"image_start\": %" PRIu64, r->src);
	fputc('}', r->out);
	r->some_range = true;
	r->nr_of_task += r->nr;
	r->nr = 0;
}

static void add_range(struct report *r, uint64_t addr, uint64_t src, uint64_t nr)
{
	if (!r->nr || r->start + r->nr * PAGE_SIZE != addr || r->src + r->nr * PAGE_SIZE != src) {
		end_range(r);
		r->start = addr;
		r->src = src;
	}
	r->nr += nr;
}

/* Those of NR pages at ADDR that are not in place. */
static int look(struct report *r, int pagemap, uint64_t addr, uint64_t src, uint64_t nr)
{
	uint64_t words[WORDS], n;

	for (uint64_t done = 0; done < nr; done += n) {
		n = min(nr - done, (uint64_t)WORDS);
		if (pread_full(pagemap, words, n * 8, (addr / PAGE_SIZE + done) * 8) !=
		    (ssize_t)n * 8)
			return -1;
		for (uint64_t i = 0; i < n; i++)
			if (!(words[i] & IN_PLACE))
				add_range(r, addr + (done + i) * PAGE_SIZE,
					  src + (done + i) * PAGE_SIZE, 1);
	}
	return 0;
}

static int list_space(struct report *r, struct space *sp, int pagemap)
{
	for (size_t i = 0; i < sp->obj->nr_runs; i++) {
		const struct lazy_run *run = &sp->obj->runs[i];
		uint64_t src = lazy_run_start(run), addr, len,
			 end = src + lazy_run_pages(run) * PAGE_SIZE;

		for (; !run->here && src < end && space_place(sp, &src, end, &addr, &len);
		     src += len)
			if (pagemap < 0)
				add_range(r, addr, src, len / PAGE_SIZE);
			else if (look(r, pagemap, addr, src, len / PAGE_SIZE))
				return -1;
	}
	end_range(r);
	return 0;
}

pid_t space_pid(const struct space *sp)
{
	cleanup_free char *text = NULL;
	const char *line;
	char path[48];

	if (sp->pidfd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", sp->pidfd);
	text = read_file_at(AT_FDCWD, path, NULL);
	line = text ? strstr(text, "\nPid:") : NULL;
	return line ? max(atoi(line + 5), 0) : 0;
}

static int report_space(struct report *r, struct space *sp)
{
	int pid = space_pid(sp);
	cleanup_close int pagemap = -1;
	char path[32];

	if (pid) {
		snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
		pagemap = open(path, O_RDONLY | O_CLOEXEC);
	}
	fprintf(r->out, "%s\n  {\"pid\": %d, \"forked\": %s, ", r->some_task ? "," : "", sp->pid,
		sp->child ? "true" : "false");
	if (pid)
		fprintf(r->out, "\"pid_here\": %d, ", pid);
	fprintf(r->out, "\"exact\": %s, \"ranges\": [", pagemap < 0 ? "false" : "true");
	r->some_task = true;
	r->some_range = false;
	r->nr_of_task = 0;
	r->exact &= pagemap >= 0;
	if (list_space(r, sp, pagemap)) {
		pr_perror("Can't see which pages of task %d are in place", pid);
		return -1;
	}
	fprintf(r->out, "],\n   \"pages\": %" PRIu64 "}", r->nr_of_task);
	r->nr_pages += r->nr_of_task;
	return 0;
}

static int report_all(struct report *r, struct lazyd *d)
{
	struct object *obj;
	struct space *sp;

	fprintf(r->out, "{\"tasks\": [");
	TAILQ_FOREACH (obj, &d->objects, link)
		TAILQ_FOREACH (sp, &obj->spaces, link)
			if (sp->uffd >= 0 && uffd_space_lives(sp->uffd) && report_space(r, sp))
				return -1;
	fprintf(r->out, "],\n \"pages\": %" PRIu64 ", \"exact\": %s}\n", r->nr_pages,
		r->exact ? "true" : "false");
	return 0;
}

static int write_report(struct lazyd *d)
{
	struct report r = { .exact = true };
	bool damaged;
	int fd, ret;

	/* as a new worker, but without one */
	d->epoll = -1;
	d->remote = NULL;
	stats_hear_again(d);
	if (restore_replay(d))
		return -1;
	fd = openat(dirs.work, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	r.out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!r.out) {
		pr_perror("Can't write " MISSING_FILE);
		return -1;
	}
	ret = report_all(&r, d);
	damaged = ferror(r.out);
	if ((fclose(r.out) || damaged) && !ret) {
		pr_perror("Can't write " MISSING_FILE);
		ret = -1;
	}
	if (!ret && renameat(dirs.work, TEMPORARY, dirs.work, MISSING_FILE)) {
		pr_perror("Can't write " MISSING_FILE);
		ret = -1;
	}
	if (ret)
		unlinkat(dirs.work, TEMPORARY, 0);
	else
		d->j->nr_left = r.nr_pages;
	return ret;
}

/* In a process of its own, whose memory goes with it. */
int missing_report(struct lazyd *d)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid)
		_exit(write_report(d) ? 1 : 0);
	if (pid < 0)
		pr_perror("Can't start a process that says which pages are missing");
	else
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	return status ? -1 : 0;
}

void missing_forget(void)
{
	unlinkat(dirs.work, MISSING_FILE, 0);
}
