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
	assert_int_equal(space_unmapped(sp, from * PG, nr * PG, NULL, NULL), 0);
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
	space_quiet(sp, NULL, NULL);
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
	assert_int_equal(space_discard(sp, 0, 20 * PG, count_gone, NULL), 0);
	assert_int_equal(gone_pages, 15 - 3);
	assert_int_equal(space_discard(sp, 0, 20 * PG, count_gone, NULL), 0);
	assert_int_equal(gone_pages, 15 - 3);
	object_free(obj);
}

/* Where the source page SRC is now; -1: nowhere */
static int place_of(struct space *sp, int src)
{
	uint64_t at = src * PG, addr, len;

	return space_place(sp, &at, at + PG, &addr, &len) ? (int)(addr / PG) : -1;
}

/*
 * One thread moved pages away, or unmapped them, and another moved something to where they were: the second message is read first.
 */
static void messages_that_overtake(void **state)
{
	struct object *obj = make_object();
	struct space *sp = space_new(obj, 42, -1);

	/* 30 -> 10 is told before 10 -> 50, and then that 10 and 30 were unmapped by that */
	assert_int_equal(space_move(sp, 30 * PG, 10 * PG, 4 * PG), 0);
	assert_true(space_unsettled(sp));
	assert_int_equal(place_of(sp, 10), -1);
	assert_int_equal(space_move(sp, 10 * PG, 50 * PG, 4 * PG), 0);
	assert_int_equal(space_unmapped(sp, 10 * PG, 4 * PG, NULL, NULL), 0);
	assert_int_equal(space_unmapped(sp, 30 * PG, 4 * PG, NULL, NULL), 0);
	assert_int_equal(place_of(sp, 10), 50);
	assert_int_equal(place_of(sp, 33), 13);
	space_quiet(sp, NULL, NULL);
	/* 60 -> 13 is told before the munmap of 12 to 14, in a part of which it is */
	assert_int_equal(space_move(sp, 60 * PG, 13 * PG, PG), 0);
	assert_int_equal(space_unmapped(sp, 12 * PG, 2 * PG, NULL, NULL), 0);
	assert_int_equal(place_of(sp, 60), 13);
	assert_int_equal(place_of(sp, 32), -1);
	/* nothing is known of what is behind 103 and 133 */
	assert_int_equal(space_unmapped(sp, 104 * PG, 10 * PG, NULL, NULL), 0);
	assert_int_equal(space_unmapped(sp, 134 * PG, 5 * PG, NULL, NULL), 0);
	space_quiet(sp, NULL, NULL);
	/* 100-103 had grown by two pages when it was unmapped, and by one when 110-113 was moved: 120-129 has come to where it had ended */
	assert_int_equal(space_move(sp, 120 * PG, 104 * PG, 10 * PG), 0);
	assert_int_equal(space_unmapped(sp, 100 * PG, 6 * PG, NULL, NULL), 0);
	assert_int_equal(place_of(sp, 120), 104);
	assert_int_equal(place_of(sp, 129), 113);
	assert_int_equal(place_of(sp, 103), -1);
	assert_int_equal(space_unmapped(sp, 120 * PG, 10 * PG, NULL, NULL), 0);
	space_quiet(sp, NULL, NULL);
	assert_int_equal(space_move(sp, 140 * PG, 134 * PG, 5 * PG), 0);
	assert_int_equal(space_move(sp, 130 * PG, 200 * PG, 5 * PG), 0);
	assert_int_equal(place_of(sp, 130), 200);
	assert_int_equal(place_of(sp, 133), 203);
	assert_int_equal(place_of(sp, 140), 134);
	/* and it goes on from there before that is told */
	assert_int_equal(space_unmapped(sp, 154 * PG, 5 * PG, NULL, NULL), 0);
	space_quiet(sp, NULL, NULL);
	assert_int_equal(space_move(sp, 160 * PG, 154 * PG, 5 * PG), 0);
	assert_int_equal(space_move(sp, 170 * PG, 154 * PG, 5 * PG), 0);
	assert_int_equal(space_unmapped(sp, 150 * PG, 6 * PG, NULL, NULL), 0);
	assert_int_equal(space_move(sp, 154 * PG, 210 * PG, 5 * PG), 0);
	assert_int_equal(place_of(sp, 160), 210);
	assert_int_equal(place_of(sp, 161), 211);
	assert_int_equal(place_of(sp, 170), 154);
	space_quiet(sp, NULL, NULL);
	/* a child has what its parent had, also what has not been told yet */
	assert_int_equal(space_move(sp, 70 * PG, 80 * PG, PG), 0);
	sp = space_fork(sp, -1);
	assert_int_equal(space_move(sp, 80 * PG, 90 * PG, PG), 0);
	assert_int_equal(place_of(sp, 80), 90);
	assert_int_equal(place_of(sp, 70), 80);
	/* who does not come back has gone */
	assert_int_equal(space_move(sp, 70 * PG, 20 * PG, PG), 0);
	gone_pages = 0;
	space_quiet(sp, count_gone, NULL);
	assert_int_equal(gone_pages, lazy_page(90) + lazy_page(20));
	sp->forked_from = NULL;
	assert_false(space_unsettled(sp));
	object_free(obj);
}

static struct pagemap *pagemap_of(size_t nr, uint32_t flags, struct pagemap *parent)
{
	struct pagemap *pm = calloc(1, sizeof(*pm));

	pm->pages_fd = -1;
	pm->parent = parent;
	pm->runs = calloc(nr, sizeof(*pm->runs));
	for (; pm->nr < nr; pm->nr++)
		pm->runs[pm->nr] = (struct page_run){ .start = 2 * pm->nr * PG,
						      .nr_pages = 1,
						      .flags = flags };
	return pm;
}

/* Every second page of 2 GiB: what the daemon keeps of each run decides what it needs. */
static void many_runs(void **state)
{
	const size_t nr = 1 << 18;
	struct pagemap *parent = pagemap_of(nr, PE_PRESENT, NULL);
	struct object *obj;
	uint64_t left;

	assert_int_equal(sizeof(struct page_run), 24);
	assert_int_equal(sizeof(struct lazy_run), 16);

	obj = object_new(1, pagemap_of(nr, PE_LAZY, NULL)); /* all on the source */
	assert_int_equal(obj->pm->nr, 0);
	assert_int_equal(obj->nr_pages, nr);
	for (uint64_t i = 0; i < nr; i++) {
		assert_int_equal(object_page(obj, 2 * i * PG, &left), i);
		assert_int_equal(left, 1);
		assert_int_equal(object_src(obj, i, &left), 2 * i * PG);
		assert_int_equal(left, 1);
		assert_false(object_here(obj, i, &left));
		assert_int_equal(object_page(obj, (2 * i + 1) * PG, &left), -1);
	}
	object_free(obj);

	obj = object_new(2, pagemap_of(nr, PE_PARENT, parent)); /* all in the parent */
	assert_int_equal(obj->pm->nr, 0);
	assert_ptr_equal(obj->pm->parent, parent);
	assert_int_equal(parent->nr, nr);
	assert_true(object_here(obj, nr - 1, &left));
	object_free(obj);

	obj = object_new(3, pagemap_of(nr, PE_LAZY | PE_PRESENT, NULL)); /* all in the image */
	assert_int_equal(obj->pm->nr, nr);
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
		cmocka_unit_test(states),	 cmocka_unit_test(cut_reports),
		cmocka_unit_test(against_model), cmocka_unit_test(messages_that_overtake),
		cmocka_unit_test(many_runs),	 cmocka_unit_test(hugetlb_areas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
