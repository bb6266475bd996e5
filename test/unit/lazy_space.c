// SPDX-License-Identifier: GPL-2.0-only
/* Regions and page states of a lazily filled address space, against a model that is an array of pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "lazy/space.h"
#include "mem/pagemap.h"
#include "util/xmalloc.h"

#define NR  512 /* pages of the model's address space */
#define PG  PAGE_SIZE
#define MAX 4 /* spaces */

struct model {
	int src[NR];   /* source page that belongs at this page, -1: none */
	char done[NR]; /* by source page */
};

/* Of every ten pages seven are lazy, every other such run has its bytes in the pages file; the eighth of every other ten is in a parent's. */
static bool lazy_page(uint64_t page)
{
	return page < NR && (page % 10 < 7 || (page % 20 == 7 && page + 1 < NR));
}

static struct object *make_object(void)
{
	struct pagemap *pm = calloc(1, sizeof(*pm));

	pm->pages_fd = -1;
	pm->runs = calloc(NR, sizeof(*pm->runs));
	for (uint64_t p = 0; p < NR; p += 10) {
		pm->runs[pm->nr++] = (struct page_run){ .start = p * PG,
							.nr_pages = min(7, NR - (int)p),
							.flags = PE_LAZY |
								 (p / 10 % 2 ? PE_PRESENT : 0) };
		if (p + 8 < NR) /* what is only PRESENT is not the daemon's */
			pm->runs[pm->nr++] = (struct page_run){ .start = (p + 7) * PG,
								.nr_pages = 1,
								.flags = p % 20 ? PE_PRESENT
										: PE_PARENT };
	}
	return object_new(42, pm);
}

static uint64_t model_left(const struct model *m)
{
	uint64_t n = 0;

	for (int p = 0; p < NR; p++)
		n += lazy_page(p) && !m->done[p];
	return n;
}

static void compare(struct space *sp, const struct model *m)
{
	assert_int_equal(sp->nr_left, model_left(m));
	for (int p = 0; p < NR; p++) {
		uint64_t src, len, left, addr;
		int64_t page;

		if (!space_source(sp, p * PG, &src, &len)) {
			assert_int_equal(m->src[p], -1);
			continue;
		}
		assert_int_equal(m->src[p], src / PG);
		assert_true(len >= PG);
		page = object_page(sp->obj, src, &left);
		assert_int_equal(page >= 0, lazy_page(src / PG));
		assert_true(left > 0);
		if (page >= 0)
			assert_int_equal(space_state(sp, page) == PAGE_DONE, m->done[src / PG]);
		/* and back from the source address to where it is */
		assert_true(space_place(sp, &src, src + PG, &addr, &len));
		assert_int_equal(addr, p * PG);
		assert_int_equal(len, PG);
	}
}

static void cut(struct space *sp, struct model *m, int from, int nr)
{
	assert_int_equal(space_cut(sp, from * PG, nr * PG, NULL, NULL), 0);
	for (int p = from; p < from + nr; p++)
		if (m->src[p] >= 0) {
			m->done[m->src[p]] = 1;
			m->src[p] = -1;
		}
}

static void move(struct space *sp, struct model *m, int from, int to, int nr)
{
	int moved[NR];

	assert_int_equal(space_move(sp, from * PG, to * PG, nr * PG), 0);
	memcpy(moved, m->src + from, nr * sizeof(int));
	for (int i = 0; i < nr; i++)
		m->src[from + i] = -1;
	for (int i = 0; i < nr; i++) {
		if (m->src[to + i] >= 0)
			m->done[m->src[to + i]] = 1;
		m->src[to + i] = moved[i];
	}
}

static void set_done(struct space *sp, struct model *m, int src, int nr)
{
	for (int p = src; p < src + nr; p++) {
		uint64_t left;
		int64_t page = object_page(sp->obj, p * PG, &left);

		if (page < 0)
			continue;
		assert_int_equal(space_set(sp, page, 1, PAGE_DONE), !m->done[p]);
		m->done[p] = 1;
	}
}

static void random_walk(unsigned seed)
{
	struct object *obj = make_object();
	struct space *sp[MAX] = { space_new(obj, 42, -1) };
	struct model m[MAX];
	int nr_spaces = 1;

	srand(seed);
	for (int p = 0; p < NR; p++) {
		m[0].src[p] = p;
		m[0].done[p] = 0;
	}
	for (int step = 0; step < 300; step++) {
		int i = rand() % nr_spaces, nr = 1 + rand() % 30;
		int a = rand() % (NR - nr), b = rand() % (NR - nr);

		switch (rand() % 4) {
		case 0:
			cut(sp[i], &m[i], a, nr > 4 ? nr / 4 : nr);
			break;
		case 1:
			if (abs(a - b) >= nr) /* mremap refuses an overlap */
				move(sp[i], &m[i], a, b, nr);
			break;
		case 2:
			set_done(sp[i], &m[i], a, nr / 8);
			break;
		case 3:
			if (nr_spaces < MAX && step > 100) {
				sp[nr_spaces] = space_fork(sp[i], -1);
				m[nr_spaces++] = m[i];
			}
			break;
		}
		for (int k = 0; k < nr_spaces; k++)
			compare(sp[k], &m[k]);
	}
	object_free(obj);
}

static void against_model(void **state)
{
	for (unsigned seed = 1; seed <= 20; seed++)
		random_walk(seed);
}

static void states(void **state)
{
	struct object *obj = make_object();
	struct space *sp = space_new(obj, 42, -1);
	uint64_t nr = obj->nr_pages;

	assert_int_equal(space_next_left(sp, 0, nr, true), 0);
	assert_int_equal(space_stretch(sp, 0, nr, true), nr);
	assert_int_equal(space_set(sp, 10, 100, PAGE_ASKED), 100);
	assert_int_equal(space_set(sp, 10, 100, PAGE_ASKED), 0);
	assert_int_equal(space_stretch(sp, 0, nr, true), 10);
	assert_int_equal(space_stretch(sp, 0, nr, false), nr);
	assert_int_equal(space_next_left(sp, 10, nr, true), 110);
	assert_int_equal(space_set(sp, 40, 50, PAGE_DONE), 50);
	assert_int_equal(space_set(sp, 40, 50, PAGE_ASKED), 0); /* done is done */
	assert_int_equal(space_next_left(sp, 40, nr, false), 90);
	assert_int_equal(space_next_left(sp, 40, 60, false), 60);
	assert_int_equal(sp->nr_left, nr - 50);
	object_free(obj);
}

static uint64_t gone_pages;
static void count_gone(struct space *sp, uint64_t src, uint64_t nr, void *arg)
{
	gone_pages += nr;
}

static void cut_reports(void **state)
{
	struct object *obj = make_object();
	struct space *sp = space_new(obj, 42, -1);

	space_set(sp, 0, 3, PAGE_DONE);
	assert_int_equal(space_cut(sp, 0, 20 * PG, count_gone, NULL), 0);
	assert_int_equal(gone_pages, 15 - 3);
	assert_int_equal(space_cut(sp, 0, 20 * PG, count_gone, NULL), 0);
	assert_int_equal(gone_pages, 15 - 3);
	object_free(obj);
}

/* Memory of huge pages behind small ones, in one run: a server knows no difference. */
static void hugetlb_areas(void **state)
{
	struct pagemap *pm = calloc(1, sizeof(*pm));
	uint64_t len, nr = 100, src = 3 * HUGE_SIZE, page;
	struct object *obj;

	pm->pages_fd = -1;
	pm->runs = calloc(2, sizeof(*pm->runs));
	pm->nr = 2;
	pm->runs[0] = (struct page_run){ HUGE_SIZE - 3 * PG, 3 + 2 * HUGE_PAGES, PE_LAZY, 0 };
	pm->runs[1] = (struct page_run){ 4 * HUGE_SIZE, 2, PE_LAZY, 0 };
	obj = object_new(42, pm);
	assert_false(object_hugetlb(obj, HUGE_SIZE, &len));
	assert_int_equal(object_skip_hugetlb(obj, 3, &nr), 0);
	assert_int_equal(nr, 100);
	assert_int_equal(huge_add(&obj->hugetlb, HUGE_SIZE, 3 * HUGE_SIZE), 0);

	assert_false(object_hugetlb(obj, HUGE_SIZE - 3 * PG, &len));
	assert_int_equal(len, 3 * PG);
	assert_true(object_hugetlb(obj, HUGE_SIZE + 5 * PG, &len));
	assert_int_equal(len, 2 * HUGE_SIZE - 5 * PG);
	assert_false(object_hugetlb(obj, 3 * HUGE_SIZE, &len));

	assert_int_equal(object_skip_hugetlb(obj, 1, &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(object_skip_hugetlb(obj, 3, &nr), 2 * HUGE_PAGES);
	assert_int_equal(object_skip_hugetlb(obj, 3 + HUGE_PAGES, &nr), HUGE_PAGES);

	assert_true(object_next_pages(obj, &src, 5 * HUGE_SIZE, &page, &nr));
	assert_int_equal(src, 4 * HUGE_SIZE);
	assert_int_equal(page, 3 + 2 * HUGE_PAGES);
	assert_int_equal(nr, 2);
	src += nr * PG;
	assert_false(object_next_pages(obj, &src, 5 * HUGE_SIZE, &page, &nr));
	object_free(obj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states),
		cmocka_unit_test(cut_reports),
		cmocka_unit_test(against_model),
		cmocka_unit_test(hugetlb_areas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
