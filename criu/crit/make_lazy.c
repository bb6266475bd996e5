// SPDX-License-Identifier: GPL-2.0-only
/*
 * crit make-lazy DIR OUT: a full checkpoint becomes a small one beside it. The pages that userfaultfd can bring later
 * leave pages-N.img, their runs become LAZY; OUT goes to the destination, DIR stays and is served by
 * `criu page-server --lazy-pages -D DIR`. What OUT still needs from parent images is copied into it, so it stands alone.
 *
 * Whatever did not change is the same file (a reflink or a hard link). The inventory comes last: a directory
 * without it is no checkpoint, and after a failure nothing is left.
 */
#include "crit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "checkpoint.h"
#include "mem/pagemap.h"
#include "pagemap.pb-c.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

struct name {
	UT_hash_handle hh;
	char text[];
};

struct job {
	struct checkpoint ck;
	const char *out_path;
	int out;
	bool made_dir;
	struct name *done; /* files of OUT that are written already */
	uint64_t nr_pages, nr_lazy;
};

/* One pagemap being rewritten. */
struct rewrite {
	struct image *map, *pages;
	struct page_run last; /* not yet written; equal neighbours are merged */
};

static int mark_done(struct job *job, const char *name)
{
	struct name *n = xzalloc(sizeof(*n) + strlen(name) + 1);

	if (!n)
		return -1;
	strcpy(n->text, name);
	HASH_ADD_STR(job->done, text, n);
	if (hash_added(n))
		return 0;
	free(n);
	return -1;
}

static bool is_done(struct job *job, const char *name)
{
	struct name *n;

	HASH_FIND_STR(job->done, name, n);
	return n;
}

/* ---- pagemaps ---- */

/* Copies the pages [at, end) of a run, from whichever image of the chain has them. */
static int keep_pages(struct rewrite *w, const struct pagemap *pm, uint64_t at, uint64_t end)
{
	struct page_extent ext;

	for (; at < end; at += ext.nr_pages * PAGE_SIZE) {
		off_t off;

		pagemap_extent(pm, at, end, &ext);
		if (ext.where == PAGES_REMOTE) {
			pr_err("%s: the pages at 0x%" PRIx64
			       " stayed on their source in an earlier lazy dump, there is nothing "
			       "to serve them from",
			       image_name(w->map), at);
			return -1;
		}
		if (ext.where != PAGES_FILE)
			continue;
		off = ext.off;
		if (page_run_add(w->map, &w->last, at, ext.nr_pages, PE_PRESENT) ||
		    image_write_from(w->pages, ext.fd, &off, ext.nr_pages * PAGE_SIZE))
			return -1;
	}
	return 0;
}

/* The first of the VMAs (sorted) that ends after ADDR; NULL: none. */
static const VmaEntry *vma_after(const MmEntry *mm, uint64_t addr)
{
	size_t lo = 0, hi = mm ? mm->n_vmas : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (mm->vmas[mid]->end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return mm && lo < mm->n_vmas ? mm->vmas[lo] : NULL;
}

/* One run, cut where areas begin and end. MM is NULL for shared memory, which is never lazy. */
static int split_run(struct job *job, struct rewrite *w, const struct pagemap *pm,
		     const struct page_run *r, const MmEntry *mm)
{
	uint64_t at = r->start, run_end = r->start + r->nr_pages * PAGE_SIZE, end;

	for (; at < run_end; at = end) {
		const VmaEntry *v = vma_after(mm, at);
		bool lazy = false;

		end = run_end;
		if (v && v->start > at) {
			end = min(end, v->start);
		} else if (v) {
			end = min(end, v->end);
			lazy = vma_can_be_lazy(v);
		}
		job->nr_pages += (end - at) / PAGE_SIZE;
		if (!lazy) {
			if (keep_pages(w, pm, at, end))
				return -1;
			continue;
		}
		job->nr_lazy += (end - at) / PAGE_SIZE;
		if (page_run_add(w->map, &w->last, at, (end - at) / PAGE_SIZE, PE_LAZY))
			return -1;
	}
	return 0;
}

static int read_pages_id(struct job *job, enum image_type type, unsigned long id,
			 uint32_t *pages_id)
{
	cleanup_image struct image *img = image_open(job->ck.dir, type, id, true);
	PagemapHead *head;

	if (!img || image_read_as(img, &head) <= 0) /* pagemap_open() has read it before */
		return -1;
	*pages_id = head->pages_id;
	pagemap_head__free_unpacked(head, NULL);
	return 0;
}

static int write_runs(struct job *job, struct rewrite *w, const struct pagemap *pm,
		      const MmEntry *mm)
{
	for (size_t i = 0; i < pm->nr; i++)
		if (split_run(job, w, pm, &pm->runs[i], mm))
			return -1;
	return page_run_write(w->map, &w->last);
}

static int rewrite_pagemap(struct job *job, enum image_type type, unsigned long id,
			   const struct pagemap *pm, const MmEntry *mm)
{
	PagemapHead head = PAGEMAP_HEAD__INIT;
	struct rewrite w = { 0 };
	int ret = -1;

	if (read_pages_id(job, type, id, &head.pages_id))
		return -1;
	w.map = image_create(job->out, type, id);
	if (w.map && !mark_done(job, image_name(w.map)))
		w.pages = image_create(job->out, IMG_PAGES, head.pages_id);
	if (w.pages && !mark_done(job, image_name(w.pages)) && !image_write(w.map, &head.base))
		ret = write_runs(job, &w, pm, mm);
	if (image_close(w.map))
		ret = -1;
	if (image_close(w.pages))
		ret = -1;
	return ret;
}

static bool has_parents(const struct pagemap *pm)
{
	for (size_t i = 0; i < pm->nr; i++)
		if (pm->runs[i].flags & PE_PARENT)
			return true;
	return false;
}

static int split_memory(struct job *job, uint32_t pid)
{
	struct pagemap *pm = pagemap_open(job->ck.dir, IMG_PAGEMAP, pid);
	MmEntry *mm;
	int ret = -1;

	if (!pm)
		return errno == ENOENT ? 0 : -1;
	mm = checkpoint_mm(&job->ck, pid);
	if (pm->has_lazy)
		pr_err("pagemap-%u.img: pages of task %u stayed on their source (dump "
		       "--lazy-pages): only a full checkpoint can be split",
		       pid, pid);
	else if (mm && !checkpoint_check_vmas(mm, pid))
		ret = rewrite_pagemap(job, IMG_PAGEMAP, pid, pm, mm);
	if (mm)
		mm_entry__free_unpacked(mm, NULL);
	pagemap_close(pm);
	return ret;
}

/* Shared memory stays whole; only what is in parent images must come along. */
static int gather_shmem(struct job *job, const char *name)
{
	unsigned long id;
	struct pagemap *pm;
	int n = 0, ret = 0;

	if (sscanf(name, "pagemap-shmem-%lu.img%n", &id, &n) != 1 || name[n])
		return 0;
	pm = pagemap_open(job->ck.dir, IMG_SHMEM_PAGEMAP, id);
	if (!pm)
		return -1;
	if (has_parents(pm))
		ret = rewrite_pagemap(job, IMG_SHMEM_PAGEMAP, id, pm, NULL);
	pagemap_close(pm);
	return ret;
}

/* ---- the other files ---- */

/*
 * The same file under the same name in OUT: a reflink where the file system has them, a hard link to an image
 * that nobody changes in place, a copy for the rest.
 */
static int same_file(struct job *job, const char *name)
{
	cleanup_close int in = openat(job->ck.dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int fd = -1;
	const char *dot = strrchr(name, '.');
	struct stat st;

	if (in < 0 || fstat(in, &st)) {
		pr_perror("Can't read %s/%s", job->ck.path, name);
		return -1;
	}
	fd = openat(job->out, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
	if (fd < 0) {
		pr_perror("Can't create %s/%s", job->out_path, name);
		return -1;
	}
	if (!ioctl(fd, FICLONE, in))
		return mark_done(job, name);
	if (dot && !strcmp(dot, ".img") && !unlinkat(job->out, name, 0)) {
		if (!linkat(job->ck.dir, name, job->out, name, 0))
			return mark_done(job, name);
		close_safe(&fd);
		fd = openat(job->out, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			    st.st_mode & 0777);
	}
	if (fd < 0 || copy_bytes(in, NULL, fd, st.st_size)) {
		pr_perror("Can't copy %s/%s to %s", job->ck.path, name, job->out_path);
		return -1;
	}
	return mark_done(job, name);
}

static int each_file(struct job *job, int (*fn)(struct job *job, const char *name))
{
	int fd = openat(job->ck.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		pr_perror("Can't list %s", job->ck.path);
		return -1;
	}
	while ((e = readdir(d)))
		if (fn(job, e->d_name))
			return -1;
	return 0;
}

/* Links, sockets and folders are no images: the link to the parent is not needed any more, the rest is of the dump's run. */
static int take_file(struct job *job, const char *name)
{
	struct stat st;

	if (!strcmp(name, "inventory.img") || is_done(job, name))
		return 0;
	if (fstatat(job->ck.dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
		pr_perror("Can't look at %s/%s", job->ck.path, name);
		return -1;
	}
	return S_ISREG(st.st_mode) ? same_file(job, name) : 0;
}

/* ---- the whole ---- */

static int make_out(struct job *job)
{
	cleanup_closedir DIR *d = NULL;
	struct dirent *e;

	job->made_dir = !mkdir(job->out_path, 0700);
	if (!job->made_dir && errno != EEXIST) {
		pr_perror("Can't create the directory %s", job->out_path);
		return -1;
	}
	d = opendir(job->out_path);
	job->out = d ? fcntl(dirfd(d), F_DUPFD_CLOEXEC, 0) : -1;
	if (job->out < 0) {
		pr_perror("Can't open the directory %s", job->out_path);
		return -1;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) {
			pr_err("The directory %s is not empty", job->out_path);
			return -1;
		}
	return 0;
}

static int split(struct job *job)
{
	for (size_t i = 0; i < job->ck.nr_tasks; i++)
		if (split_memory(job, job->ck.tasks[i]->pid))
			return -1;
	if (each_file(job, gather_shmem) || each_file(job, take_file) ||
	    same_file(job, "inventory.img"))
		return -1;
	return fsync(job->out);
}

static void finish(struct job *job, bool failed)
{
	struct name *n, *tmp;

	HASH_ITER (hh, job->done, n, tmp) {
		HASH_DEL(job->done, n);
		if (failed)
			unlinkat(job->out, n->text, 0);
		free(n);
	}
	if (failed && job->made_dir)
		rmdir(job->out_path);
	close_safe(&job->out);
	checkpoint_close(&job->ck);
}

int cmd_make_lazy(int argc, char **argv)
{
	struct job job = { .out = -1 };
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: crit make-lazy DIR OUT\n");
		return 1;
	}
	job.out_path = argv[2];
	if (checkpoint_open(&job.ck, argv[1]))
		return 1;
	ret = make_out(&job);
	if (!ret) {
		ret = split(&job);
		if (!ret)
			printf("%" PRIu64 " of %" PRIu64
			       " pages left to be fetched (%.1f of %.1f MiB)\n",
			       job.nr_lazy, job.nr_pages, job.nr_lazy / 256.0,
			       job.nr_pages / 256.0);
	}
	finish(&job, ret);
	return ret ? 1 : 0;
}
