// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "mem/pagemap.h"
#include "pagemap.pb-c.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

struct dirs {
	char path[64];
	int parent, child; /* child/parent -> ../parent */
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct dirs *d = calloc(1, sizeof(*d));

	strcpy(d->path, "/tmp/pagemap-test.XXXXXX");
	assert_non_null(mkdtemp(d->path));
	d->child = open(d->path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(d->child, "parent", 0700), 0);
	d->parent = openat(d->child, "parent", O_RDONLY | O_DIRECTORY);
	assert_true(d->parent >= 0);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct dirs *d = *state;

	close(d->parent), close(d->child);
	nftw(d->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(d);
	return 0;
}

struct run {
	uint64_t start, nr;
	uint32_t flags;
	char fill; /* PRESENT: every byte of every page */
};

static void write_pages(struct pagemap_writer *w, const struct run *r)
{
	char page[PAGE_SIZE];

	memset(page, r->fill, sizeof(page));
	for (uint64_t i = 0; i < r->nr; i++)
		assert_int_equal(write_full(image_fd(w->pages), page, sizeof(page)), 0);
}

static void make(int dir, unsigned long id, const struct run *runs, unsigned nr)
{
	struct pagemap_writer w;

	assert_int_equal(pagemap_create(&w, dir, IMG_PAGEMAP, id), 0);
	for (unsigned i = 0; i < nr; i++) {
		assert_int_equal(pagemap_add(&w, runs[i].start, runs[i].nr, runs[i].flags), 0);
		if (runs[i].flags & PE_PRESENT)
			write_pages(&w, &runs[i]);
	}
	assert_int_equal(pagemap_finish(&w), 0);
}
#define make_runs(dir, id, ...)                      \
	make(dir, id, (struct run[]){ __VA_ARGS__ }, \
	     sizeof((struct run[]){ __VA_ARGS__ }) / sizeof(struct run))

static char byte_at(const struct page_extent *e)
{
	char c = 0;

	assert_int_equal(pread(e->fd, &c, 1, e->off), 1);
	return c;
}

static void round_trip(void **state)
{
	struct dirs *d = *state;
	struct page_extent e;
	struct pagemap *pm;

	make_runs(d->child, 7, { 0x10000, 2, PE_PRESENT, 'a' }, { 0x12000, 1, PE_PRESENT, 'b' },
		  { 0x13000, 1, PE_PRESENT | PE_LAZY, 'c' }, { 0x20000, 3, PE_LAZY, 0 });
	pm = pagemap_open(d->child, IMG_PAGEMAP, 7);
	assert_non_null(pm);
	assert_int_equal(pm->nr, 3); /* the first two were merged */
	assert_int_equal(pm->runs[0].nr_pages, 3);
	assert_int_equal(pm->pages_size, 4 * PAGE_SIZE);
	assert_true(pm->has_lazy);
	assert_null(pm->parent);

	pagemap_extent(pm, 0x1000, 0x100000, &e); /* up to the first run */
	assert_int_equal(e.where, PAGES_HOLE);
	assert_int_equal(e.nr_pages, 15);
	pagemap_extent(pm, 0x11000, 0x100000, &e);
	assert_int_equal(e.where, PAGES_FILE);
	assert_int_equal(e.nr_pages, 2);
	assert_int_equal(byte_at(&e), 'a');
	pagemap_extent(pm, 0x12000, 0x13000, &e);
	assert_int_equal(e.nr_pages, 1);
	assert_int_equal(byte_at(&e), 'b');
	assert_false(e.lazy);
	pagemap_extent(pm, 0x13000, 0x100000, &e);
	assert_int_equal(byte_at(&e), 'c');
	assert_true(e.lazy);
	pagemap_extent(pm, 0x21000, 0x22000, &e);
	assert_int_equal(e.where, PAGES_REMOTE);
	assert_int_equal(e.nr_pages, 1);
	pagemap_extent(pm, 0x23000, 0x30000, &e); /* after the last run */
	assert_int_equal(e.where, PAGES_HOLE);
	assert_int_equal(e.nr_pages, 13);
	pagemap_close(pm);
}

static void parents(void **state)
{
	struct dirs *d = *state;
	struct page_extent e;
	struct pagemap *pm;

	make_runs(d->parent, 7, { 0x10000, 4, PE_PRESENT, 'p' },
		  { 0x14000, 4, PE_PRESENT | PE_LAZY, 'q' });
	make_runs(d->child, 7, { 0x10000, 1, PE_PRESENT, 'c' },
		  { 0x11000, 6, PE_PARENT | PE_LAZY, 0 });
	pm = pagemap_open(d->child, IMG_PAGEMAP, 7);
	assert_non_null(pm);
	assert_non_null(pm->parent);
	assert_false(pm->has_lazy);
	pagemap_extent(pm, 0x10000, 0x20000, &e);
	assert_int_equal(byte_at(&e), 'c');
	assert_false(e.parent);
	pagemap_extent(pm, 0x11000, 0x20000, &e);
	assert_int_equal(e.where, PAGES_FILE);
	assert_int_equal(byte_at(&e), 'p');
	assert_true(e.parent && e.lazy);
	assert_int_equal(e.nr_pages, 3);
	pagemap_extent(pm, 0x14000, 0x20000, &e);
	assert_int_equal(byte_at(&e), 'q');
	assert_int_equal(e.nr_pages, 3); /* to the end of the child's run */
	pagemap_close(pm);
}

/* What must be refused; each case in a directory of its own. */
static void damaged(void **state)
{
	struct dirs *d = *state;
	int dir = d->child;

	errno = 0;
	assert_null(pagemap_open(dir, IMG_PAGEMAP, 1));
	assert_int_equal(errno, ENOENT);

	make_runs(dir, 2, { 0x20000, 1, PE_LAZY, 0 }, { 0x10000, 1, PE_LAZY, 0 });
	assert_null(pagemap_open(dir, IMG_PAGEMAP, 2));
	assert_int_not_equal(errno, ENOENT);
	make_runs(dir, 3, { 0x20000, 2, PE_LAZY, 0 }, { 0x21000, 1, PE_LAZY, 0 });
	assert_null(pagemap_open(dir, IMG_PAGEMAP, 3));
	make_runs(dir, 4, { 0x20001, 2, PE_LAZY, 0 });
	assert_null(pagemap_open(dir, IMG_PAGEMAP, 4));
	make_runs(dir, 5, { 0x20000, UINT64_MAX / PAGE_SIZE, PE_LAZY, 0 });
	assert_null(pagemap_open(dir, IMG_PAGEMAP, 5));
	make_runs(dir, 6, { 0x20000, 1, 64, 0 });
	assert_null(pagemap_open(dir, IMG_PAGEMAP, 6));
	make_runs(dir, 7, { 0x20000, 1, PE_PARENT, 0 }); /* parent/ has no pagemap-7.img */
	assert_null(pagemap_open(dir, IMG_PAGEMAP, 7));
	assert_int_not_equal(errno, ENOENT);
	make_runs(d->parent, 8, { 0x20000, 1, PE_PRESENT, 'x' });
	make_runs(dir, 8, { 0x20000, 2, PE_PARENT, 0 }); /* one page more than the parent has */
	assert_null(pagemap_open(dir, IMG_PAGEMAP, 8));
}

static void short_pages_file(void **state)
{
	struct dirs *d = *state;
	struct pagemap_writer w;

	assert_int_equal(pagemap_create(&w, d->child, IMG_PAGEMAP, 9), 0);
	assert_int_equal(pagemap_add(&w, 0x1000, 2, PE_PRESENT), 0);
	assert_int_equal(ftruncate(image_fd(w.pages), 2 * PAGE_SIZE - 1), 0);
	assert_int_equal(pagemap_finish(&w), 0);
	assert_null(pagemap_open(d->child, IMG_PAGEMAP, 9));
}

static void parent_loop(void **state)
{
	struct dirs *d = *state;

	make_runs(d->parent, 3, { 0x20000, 1, PE_PARENT, 0 });
	assert_int_equal(symlinkat(".", d->parent, "parent"), 0);
	assert_null(pagemap_open(d->parent, IMG_PAGEMAP, 3));
}

/* Binary search against a linear one, on a map with gaps. */
static void find(void **state)
{
	struct page_run runs[100];
	struct pagemap pm = { .runs = runs, .nr = ARRAY_SIZE(runs) };

	for (unsigned i = 0; i < pm.nr; i++)
		runs[i] = (struct page_run){ .start = (i * 5 + i % 3) * PAGE_SIZE,
					     .nr_pages = 1 + i % 3 };
	for (uint64_t addr = 0; addr < 510 * PAGE_SIZE; addr += PAGE_SIZE) {
		size_t want = 0;

		while (want < pm.nr && runs[want].start + runs[want].nr_pages * PAGE_SIZE <= addr)
			want++;
		assert_int_equal(pagemap_find(&pm, addr), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(parents, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(short_pages_file, setup, teardown),
		cmocka_unit_test_setup_teardown(parent_loop, setup, teardown),
		cmocka_unit_test(find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
