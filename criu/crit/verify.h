/* SPDX-License-Identifier: GPL-2.0-only */
/* crit verify: what verify.c (each file, memory) and verify_refs.c (what images say of each other) share. */
#ifndef CRIU_CRIT_VERIFY_H
#define CRIU_CRIT_VERIFY_H

#include "checkpoint.h"

struct verify {
	int dir, null;
	unsigned nr_problems, nr_files, nr_lazy_maps;
	uint64_t nr_pages;
	struct verify_map {
		enum image_type type;
		unsigned long id;
		uint32_t pages_id;
		uint64_t nr_present;
	} * maps;
	size_t nr_maps, cap_maps;
	struct checkpoint ck;
};

/* Counts and prints one problem. */
void problem(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void verify_tasks(struct verify *v);
void verify_files(struct verify *v);

#endif
