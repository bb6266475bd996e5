// SPDX-License-Identifier: GPL-2.0-only
#include "mem/huge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/image.h"
#include "mem/mem.h"
#include "mm.pb-c.h"
#include "pagemap.pb-c.h"
#include "util/log.h"
#include "util/xmalloc.h"

int huge_add(struct huge_list *l, uint64_t start, uint64_t end)
{
	struct huge_range *last = l->nr ? &l->v[l->nr - 1] : NULL;

	start = round_up(start, HUGE_SIZE);
	end = round_down(end, HUGE_SIZE);
	if (start >= end)
		return 0;
	if (last && last->start + last->len == start) {
		last->len += end - start;
		return 0;
	}
	if (xgrow(&l->v, &l->cap, l->nr, sizeof(*l->v)))
		return -1;
	l->v[l->nr++] = (struct huge_range){ start, end - start };
	return 0;
}

int huge_save(const struct huge_list *l, int dirfd, uint32_t vpid)
{
	PagemapEntry e = PAGEMAP_ENTRY__INIT;
	struct image *img;
	char old[32];
	int ret;

	if (!l->nr) { /* of another dump into this directory */
		snprintf(old, sizeof(old), "hugepages-%u.img", vpid);
		unlinkat(dirfd, old, 0);
		return 0;
	}
	img = image_create(dirfd, IMG_HUGEPAGES, vpid);
	ret = img ? 0 : -1;
	e.has_nr_pages = true;
	for (size_t i = 0; i < l->nr && !ret; i++) {
		e.vaddr = l->v[i].start;
		e.nr_pages = l->v[i].len / PAGE_SIZE;
		e.compat_nr_pages = min(e.nr_pages, (uint64_t)UINT32_MAX);
		ret = image_write(img, &e.base);
	}
	return image_close(img) || ret ? -1 : 0;
}

static int add_entry(struct huge_list *l, const PagemapEntry *e, const char *name)
{
	uint64_t last = l->nr ? l->v[l->nr - 1].start + l->v[l->nr - 1].len : 0;
	uint64_t nr = e->has_nr_pages ? e->nr_pages : e->compat_nr_pages;

	if (e->vaddr >= last && nr && nr <= (UINT64_MAX - e->vaddr) / PAGE_SIZE &&
	    e->vaddr % HUGE_SIZE == 0 && nr % (HUGE_SIZE / PAGE_SIZE) == 0)
		return huge_add(l, e->vaddr, e->vaddr + nr * PAGE_SIZE);
	pr_err("%s: huge pages at 0x%" PRIx64 " that can't be", name, e->vaddr);
	return -1;
}

int huge_load(struct huge_list *l, int dirfd, uint32_t vpid)
{
	struct image *img = image_open(dirfd, IMG_HUGEPAGES, vpid, false);
	PagemapEntry *e;
	int ret;

	*l = (struct huge_list){};
	if (!img)
		return errno == ENOENT ? 0 : -1;
	while ((ret = image_read_as(img, &e)) > 0) {
		ret = add_entry(l, e, image_name(img));
		pagemap_entry__free_unpacked(e, NULL);
		if (ret)
			break;
	}
	image_close(img);
	if (ret)
		huge_free(l);
	return ret;
}

void huge_free(struct huge_list *l)
{
	free(l->v);
	*l = (struct huge_list){};
}

/* ---- hugetlb ---- */

/* (the names are of linux/mman.h, which does not go with sys/mman.h) */
#define SIZE_SHIFT 26

_Static_assert(HUGETLB_FLAGS == (MAP_HUGETLB | 0x3fU << SIZE_SHIFT) && MAP_NORESERVE == 0x4000,
	       "mmap's flags");

uint32_t hugetlb_flags(uint64_t size)
{
	if (!size || size & (size - 1))
		return 0;
	return MAP_HUGETLB | (uint32_t)__builtin_ctzll(size) << SIZE_SHIFT;
}

int hugetlb_load(struct huge_list *l, int dirfd, uint32_t vpid)
{
	cleanup_image struct image *img = image_open(dirfd, IMG_MM, vpid, false);
	MmEntry *mm;
	int ret;

	*l = (struct huge_list){};
	if (!img)
		return errno == ENOENT ? 0 : -1;
	ret = image_read_as(img, &mm);
	if (ret <= 0)
		return ret;
	ret = 0;
	for (size_t i = 0; i < mm->n_vmas && !ret; i++) {
		const VmaEntry *e = mm->vmas[i];

		if ((e->status & VMA_ANON_PRIVATE) && hugetlb_can_be_lazy(e->flags))
			ret = huge_add(l, e->start, e->end);
	}
	mm_entry__free_unpacked(mm, NULL);
	if (ret)
		huge_free(l);
	return ret;
}
