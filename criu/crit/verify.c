// SPDX-License-Identifier: GPL-2.0-only
/*
 * crit verify DIR: is this directory a checkpoint that can be restored? Every file is read to its end, then what
 * the images say of each other is compared. One line per problem, on standard output.
 */
#include "verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "crit.h"
#include "mem/pagemap.h"
#include "pagemap.pb-c.h"
#include "util/log.h"
#include "util/xmalloc.h"

void problem(struct verify *v, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pr_err("%s", text);
	v->nr_problems++;
}

/* ---- each file by itself ---- */

/* Every entry and what follows it, into a JSON that goes nowhere. */
static void check_entries(struct verify *v, const char *name, enum image_type want)
{
	int fd = openat(v->dir, name, O_RDONLY | O_CLOEXEC);
	struct decode_how how = { .no_payload = true };
	cleanup_image struct image *img = NULL;
	enum image_type type;
	struct json_out out;

	if (fd < 0) {
		problem(v, "%s: can't be opened: %s", name, strerror(errno));
		return;
	}
	img = image_open_fd(fd, name, &type);
	if (!img || json_out_init(&out, v->null, false)) {
		v->nr_problems++;
		return;
	}
	if (image_kinds[type].magic != image_kinds[want].magic)
		problem(v, "%s: holds a %s image", name, image_kinds[type].name);
	else if (decode_image(img, type, &out, &how))
		v->nr_problems++;
	json_out_finish(&out);
}

/* Pages that no pagemap names, or not as many as it names. */
static void check_pages(struct verify *v, const char *name, unsigned long id)
{
	uint64_t want = 0;
	bool found = false;
	struct stat st;

	if (fstatat(v->dir, name, &st, 0)) {
		problem(v, "%s: can't be opened: %s", name, strerror(errno));
		return;
	}
	for (size_t i = 0; i < v->nr_maps; i++)
		if (v->maps[i].pages_id == id) {
			found = true;
			want += v->maps[i].nr_present * PAGE_SIZE;
		}
	if (!found)
		problem(v, "%s: no pagemap names it", name);
	else if ((uint64_t)st.st_size > want) /* too short is found with the pagemap */
		problem(v, "%s: has %lld bytes, its pagemap names %lu", name, (long long)st.st_size,
			want);
}

static void each_file(struct verify *v,
		      void (*fn)(struct verify *v, const char *name, int type, unsigned long id))
{
	int fd = openat(v->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		problem(v, "can't list the directory: %s", strerror(errno));
		return;
	}
	while ((e = readdir(d))) {
		unsigned long id;
		int type = image_type_by_name(e->d_name, &id);

		if (type >= 0)
			fn(v, e->d_name, type, id);
	}
}

static void check_file(struct verify *v, const char *name, int type, unsigned long id)
{
	if (!image_kinds[type].magic)
		return;
	v->nr_files++;
	check_entries(v, name, type);
}

static void check_pages_file(struct verify *v, const char *name, int type, unsigned long id)
{
	if (type == IMG_PAGES)
		check_pages(v, name, id);
}

/* ---- memory ---- */

static int read_pages_id(struct verify *v, enum image_type type, unsigned long id, uint32_t *pages)
{
	cleanup_image struct image *img = image_open(v->dir, type, id, true);
	PagemapHead *head;

	if (!img || image_read_as(img, &head) <= 0)
		return -1;
	*pages = head->pages_id;
	pagemap_head__free_unpacked(head, NULL);
	return 0;
}

static void note_map(struct verify *v, const struct pagemap *pm, enum image_type type,
		     unsigned long id)
{
	struct verify_map *m;

	if (xgrow(&v->maps, &v->cap_maps, v->nr_maps, sizeof(*m)))
		exit(1);
	m = &v->maps[v->nr_maps];
	*m = (struct verify_map){ .type = type, .id = id };
	if (read_pages_id(v, type, id, &m->pages_id))
		return;
	for (size_t i = 0; i < pm->nr; i++)
		if (pm->runs[i].flags & PE_PRESENT)
			m->nr_present += pm->runs[i].nr_pages;
	for (size_t i = 0; i < v->nr_maps; i++)
		if (v->maps[i].pages_id == m->pages_id && v->maps[i].nr_present && m->nr_present)
			problem(v, "%s-%lu: has the same pages file, pages-%u.img, as another",
				type == IMG_PAGEMAP ? "pagemap" : "pagemap-shmem", id, m->pages_id);
	v->nr_maps++;
	v->nr_pages += m->nr_present;
}

/* Opening a pagemap checks it, and its whole chain. */
static void check_map(struct verify *v, const char *name, int type, unsigned long id)
{
	struct pagemap *pm;

	if (type != IMG_PAGEMAP && type != IMG_SHMEM_PAGEMAP)
		return;
	pm = pagemap_open(v->dir, type, id);
	if (!pm) {
		v->nr_problems++;
		return;
	}
	if (pm->has_lazy)
		v->nr_lazy_maps++;
	note_map(v, pm, type, id);
	pagemap_close(pm);
}

/* ---- the whole ---- */

static void verify_all(struct verify *v, const char *path)
{
	each_file(v, check_file);
	if (v->nr_problems) /* what cannot be read cannot be compared */
		return;
	each_file(v, check_map);
	each_file(v, check_pages_file);
	if (v->nr_problems)
		return;
	if (faccessat(v->dir, "pstree.img", F_OK, 0) && v->nr_maps) {
		printf("%s holds only memory (a pre-dump, or a spill)\n", path);
		return;
	}
	if (checkpoint_open(&v->ck, path) || checkpoint_load_files(&v->ck)) {
		v->nr_problems++;
		return;
	}
	if (v->ck.inventory->img_version > IMG_VERSION)
		problem(v, "inventory.img: images version %u, only up to %u is known",
			v->ck.inventory->img_version, IMG_VERSION);
	verify_tasks(v);
	verify_files(v);
}

int cmd_verify(int argc, char **argv)
{
	struct verify v = { .ck.dir = -1 };

	if (argc != 2) {
		fprintf(stderr, "usage: crit verify DIR\n");
		return 1;
	}
	setlinebuf(stdout);
	log_set_fd(STDOUT_FILENO);
	v.dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	v.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (v.dir < 0 || v.null < 0) {
		pr_perror("Can't open the directory %s", argv[1]);
		return 1;
	}
	verify_all(&v, argv[1]);
	if (v.nr_problems)
		printf("%s: %u problem%s\n", argv[1], v.nr_problems, v.nr_problems > 1 ? "s" : "");
	else
		printf("%s: %u images, %zu tasks, %lu pages%s: no problem\n", argv[1], v.nr_files,
		       v.ck.nr_tasks, v.nr_pages,
		       v.nr_lazy_maps ? " and others that are on their source" : "");
	checkpoint_close(&v.ck);
	free(v.maps);
	close(v.dir);
	close(v.null);
	return v.nr_problems ? 1 : 0;
}
