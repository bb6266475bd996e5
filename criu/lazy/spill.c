// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lazy/server.h"
#include "mem/pagemap.h"
#include "net/tls.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define MARKER	  "spill-unfinished"
#define INVENTORY "inventory.img"
#define PIECE	  (PIECE_PAGES * PAGE_SIZE)
/* So much may be in memory and not yet on the disk. */
#define DIRTY	 (8UL << 20)
#define IDLE_IO	 (3 << 13) /* IOPRIO_CLASS_IDLE: ioprio_set(2) */
#define LESS_CPU 10 /* nice: a tenth of what others get, but on a busy host it is not starved */
/* While somebody is served: it rests so many times as long as it works. */
#define IDLE_PARTS 8
/* But no longer than this after each piece: on a busy host the most of what seems work is waiting for a processor. */
#define LONGEST_REST_US 20000UL

static struct spill {
	int dir;
	bool made; /* by us: taken away again when nothing stays in it */
	bool started;
	pthread_t thread;
	struct server *server;
	atomic_bool stop;
	atomic_int state;
	uint64_t nr_pages;
	char buf[PIECE];
} * spill;

/* ---- the directory ---- */

static bool is_empty(int dirfd)
{
	cleanup_closedir DIR *d = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e = NULL;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			return false;
	return d;
}

static bool same_dir(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int spill_open(void)
{
	if (!opts.spill)
		return 0;
	spill = xzalloc(sizeof(*spill));
	if (!spill)
		return -1;
	spill->made = !mkdir(opts.spill, 0700);
	spill->dir = open(opts.spill, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spill->dir < 0) {
		pr_perror("--spill: can't open the directory %s", opts.spill);
		return -1;
	}
	if (is_empty(spill->dir) && !same_dir(spill->dir, dirs.images) &&
	    !same_dir(spill->dir, dirs.work))
		return 0;
	pr_err("--spill: %s has files already: it needs an empty directory of its own, or the name "
	       "of one that is to be made",
	       opts.spill);
	return -1;
}

/* What the spill writes, and nothing that somebody else has put there. */
static bool is_ours(const char *name)
{
	return !strncmp(name, "pages-", 6) || !strncmp(name, "pagemap-", 8) ||
	       !strcmp(name, TLS_KEY_FILE) || !strcmp(name, INVENTORY);
}

/* The marker goes last: half of a spill never looks like a whole one. */
static void remove_files(void)
{
	cleanup_closedir DIR *d = fdopendir(
		openat(spill->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_ours(e->d_name))
			unlinkat(spill->dir, e->d_name, 0);
	unlinkat(spill->dir, MARKER, 0);
}

static void forget(bool keep)
{
	if (!spill)
		return;
	if (!keep && spill->started)
		remove_files();
	close_safe(&spill->dir);
	if (!keep && spill->made)
		rmdir(opts.spill);
	free(spill);
	spill = NULL;
}

void spill_drop(void)
{
	forget(false);
}

/* ---- writing ---- */

/*
 * What is written goes to the disk at once, a part behind the other, and leaves the memory of this host, where it could only be in the way. The file was
 * BEFORE bytes long, and is LEN now.
 */
static void write_behind(int fd, uint64_t before, uint64_t len)
{
	uint64_t from = before / DIRTY * DIRTY;

	if (before / DIRTY == len / DIRTY)
		return;
	sync_file_range(fd, from, DIRTY, SYNC_FILE_RANGE_WRITE);
	if (!from)
		return;
	from -= DIRTY;
	sync_file_range(fd, from, DIRTY,
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
	posix_fadvise(fd, from, DIRTY, POSIX_FADV_DONTNEED);
}

/*
 * Priorities do not reach the kernel's own threads, which bring the pages to the disk, nor the memory's bandwidth. So the spill works a part of the time only, as
 * long as there is somebody whom it could disturb.
 */
static void give_way(uint64_t worked_us)
{
	struct server *sv = spill->server;

	if (!sv->interrupted && sv->nr_clients)
		usleep(min(worked_us * IDLE_PARTS, LONGEST_REST_US));
}

/* 0; 1: told to stop; -1 logged */
static int write_run(struct page_source *s, const struct page_run *r, int fd, uint64_t *len)
{
	uint64_t n, start;

	for (uint64_t done = 0; done < r->nr_pages; done += n) {
		start = now_us();
		n = min(r->nr_pages - done, (uint64_t)PIECE_PAGES);
		if (spill->stop)
			return 1;
		if (source_read(s, r->start + done * PAGE_SIZE, n, spill->buf))
			return -1;
		if (write_full(fd, spill->buf, n * PAGE_SIZE)) {
			pr_warn("Can't write the pages of task %" PRIu64 " to %s: %s",
				s->dst_id >> 8, opts.spill, strerror(errno));
			return -1;
		}
		*len += n * PAGE_SIZE;
		spill->nr_pages += n;
		write_behind(fd, *len - n * PAGE_SIZE, *len);
		give_way(now_us() - start);
	}
	return 0;
}

/* All that a client may ask the source for; what is in parent images it has itself. */
static int write_object(struct page_source *s)
{
	struct pagemap_writer w;
	uint64_t len = 0;
	int ret = 0;

	if (pagemap_create(&w, spill->dir, IMG_PAGEMAP, s->dst_id >> 8))
		return -1;
	for (size_t i = 0; i < s->pm->nr && !ret; i++) {
		const struct page_run *r = &s->pm->runs[i];

		if (!(r->flags & (PE_LAZY | PE_PRESENT)) || (r->flags & PE_PARENT))
			continue;
		ret = pagemap_add(&w, r->start, r->nr_pages, (r->flags & PE_LAZY) | PE_PRESENT);
		if (!ret)
			ret = write_run(s, r, image_fd(w.pages), &len);
	}
	return pagemap_finish(&w) && !ret ? -1 : ret;
}

static int copy(const char *name)
{
	cleanup_close int from = openat(dirs.images, name, O_RDONLY | O_CLOEXEC);
	cleanup_close int to = openat(spill->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				      0600);
	struct stat st;

	if (from >= 0 && to >= 0 && !fstat(from, &st) && !copy_bytes(from, NULL, to, st.st_size))
		return 0;
	pr_warn("Can't copy %s to %s: %s", name, opts.spill, strerror(errno));
	return -1;
}

/* Which dump this is of, and who may ask. */
static int copy_beside(void)
{
	return copy(INVENTORY) || (opts.tls_psk && copy(TLS_KEY_FILE)) ? -1 : 0;
}

static int mark(void)
{
	static const char text[] = "The pages in this directory are not complete.\n";
	cleanup_close int fd = openat(spill->dir, MARKER, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				      0600);

	if (fd >= 0 && !write_full(fd, text, sizeof(text) - 1) && !fsync(fd) && !fsync(spill->dir))
		return 0;
	pr_warn("Can't write " MARKER " to %s: %s", opts.spill, strerror(errno));
	return -1;
}

/* Everything is on the disk before the marker goes. */
static int finish(void)
{
	cleanup_closedir DIR *d = fdopendir(
		openat(spill->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	while (d && (e = readdir(d))) {
		cleanup_close int fd = -1;

		if (!is_ours(e->d_name))
			continue;
		fd = openat(spill->dir, e->d_name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fsync(fd))
			goto fail;
	}
	if (d && !fsync(spill->dir) && !unlinkat(spill->dir, MARKER, 0) && !fsync(spill->dir))
		return 0;
fail:
	pr_warn("Can't bring the pages in %s to the disk: %s", opts.spill, strerror(errno));
	return -1;
}

static int write_all(void)
{
	struct stored *st;
	int ret = mark() || copy_beside() ? -1 : 0;

	TAILQ_FOREACH (st, &spill->server->sources, link)
		if (!ret)
			ret = write_object(&st->source);
	if (!ret && spill->stop)
		ret = 1;
	return ret ?: finish();
}

/* Whoever serves comes first: the processor and the disk are ours when nobody else wants them. */
static void step_back(void)
{
	pid_t tid = syscall(SYS_gettid);

	setpriority(PRIO_PROCESS, tid, LESS_CPU);
	syscall(SYS_ioprio_set, 1, tid, IDLE_IO);
}

static void *spill_thread(void *arg)
{
	int ret;

	step_back();
	ret = write_all();
	if (ret < 0)
		pr_warn("There will be no spill: the migration goes on, and depends on this host");
	else if (!ret)
		pr_info("%" PRIu64 " pages are in %s now", spill->nr_pages, opts.spill);
	if (ret)
		remove_files();
	spill->state = ret ? SPILL_FAILED : SPILL_FINISHED;
	server_wake(spill->server);
	return NULL;
}

void spill_start(struct server *sv)
{
	if (!spill || spill->started)
		return;
	spill->server = sv;
	spill->state = SPILL_RUNS;
	if (!is_empty(spill->dir)) {
		pr_warn("There will be no spill: somebody has put files into %s", opts.spill);
		spill_drop();
		return;
	}
	spill->started = !pthread_create(&spill->thread, NULL, spill_thread, NULL);
	if (spill->started)
		return;
	pr_warn("There will be no spill: can't make a thread");
	spill_drop();
}

enum spill_state spill_state(void)
{
	return spill && spill->started ? spill->state : SPILL_NONE;
}

void spill_end(bool complete)
{
	bool keep;

	if (!spill)
		return;
	spill->stop = true;
	if (spill->started)
		pthread_join(spill->thread, NULL);
	keep = !complete && spill_state() == SPILL_FINISHED;
	if (keep)
		pr_warn("The pages are in %s: \"criu page-server --lazy-pages -D\" there serves "
			"them to the tasks",
			opts.spill);
	forget(keep);
}

int spill_check(int dirfd)
{
	if (faccessat(dirfd, MARKER, F_OK, 0))
		return 0;
	pr_err("The images directory has " MARKER
	       ": the dump that wrote its pages here ended before it had all of them, so they "
	       "can't be served");
	return -1;
}
