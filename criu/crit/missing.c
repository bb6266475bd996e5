// SPDX-License-Identifier: GPL-2.0-only
/* crit x DIR missing: the pages that lazy-pages could not have (criu/lazy/missing.c). DIR is its work directory; no checkpoint is needed. */
#include "crit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "checkpoint.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define MISSING_FILE "missing-pages.json"

struct range {
	uint64_t start, pages, image_start;
};
struct task {
	uint64_t pid, pid_here, pages;
	bool forked, exact;
	struct range *ranges;
	size_t nr, cap;
};

static int number(struct json_in *in, uint64_t *v)
{
	struct json_int i;

	if (json_integer(in, &i))
		return -1;
	*v = i.magnitude;
	return i.negative ? json_error(in, "a negative number") : 0;
}

static int read_range(struct json_in *in, struct range *r)
{
	bool first = true;
	int ret = json_enter(in, '{');

	*r = (struct range){};
	while (!ret && (ret = json_next(in, '}', &first)) > 0) {
		ret = json_member(in);
		if (ret)
			;
		else if (!strcmp(in->str, "start"))
			ret = number(in, &r->start);
		else if (!strcmp(in->str, "pages"))
			ret = number(in, &r->pages);
		else if (!strcmp(in->str, "image_start"))
			ret = number(in, &r->image_start);
		else
			ret = json_skip(in);
	}
	return ret;
}

static int read_ranges(struct json_in *in, struct task *t)
{
	bool first = true;
	int ret = json_enter(in, '[');

	while (!ret && (ret = json_next(in, ']', &first)) > 0)
		ret = xgrow(&t->ranges, &t->cap, t->nr, sizeof(*t->ranges))
			      ? -1
			      : read_range(in, &t->ranges[t->nr++]);
	return ret;
}

static int read_task(struct json_in *in, struct task *t)
{
	bool first = true;
	int ret = json_enter(in, '{');

	while (!ret && (ret = json_next(in, '}', &first)) > 0) {
		ret = json_member(in);
		if (ret)
			;
		else if (!strcmp(in->str, "pid"))
			ret = number(in, &t->pid);
		else if (!strcmp(in->str, "pid_here"))
			ret = number(in, &t->pid_here);
		else if (!strcmp(in->str, "pages"))
			ret = number(in, &t->pages);
		else if (!strcmp(in->str, "forked"))
			ret = json_bool(in, &t->forked);
		else if (!strcmp(in->str, "exact"))
			ret = json_bool(in, &t->exact);
		else if (!strcmp(in->str, "ranges"))
			ret = read_ranges(in, t);
		else
			ret = json_skip(in);
	}
	return ret;
}

static void show_task(const struct task *t)
{
	printf("%s%" PRIu64, t->forked ? "child of " : "", t->pid);
	if (t->pid_here)
		printf(" (%" PRIu64 " here)", t->pid_here);
	printf(": %s%" PRIu64 " pages\n", t->exact ? "" : "up to ", t->pages);
	for (size_t i = 0; i < t->nr; i++) {
		printf("\t%" PRIx64 " / %" PRIu64, t->ranges[i].start, t->ranges[i].pages);
		if (t->ranges[i].image_start)
			printf("   (%" PRIx64 " in the image)", t->ranges[i].image_start);
		printf("\n");
	}
}

static int read_tasks(struct json_in *in)
{
	bool first = true;
	int ret = json_enter(in, '[');

	while (!ret && (ret = json_next(in, ']', &first)) > 0) {
		struct task t = {};

		ret = read_task(in, &t);
		if (!ret)
			show_task(&t);
		free(t.ranges);
	}
	return ret;
}

static int read_report(struct json_in *in)
{
	bool first = true, exact = true;
	uint64_t pages = 0;
	int ret = json_enter(in, '{');

	while (!ret && (ret = json_next(in, '}', &first)) > 0) {
		ret = json_member(in);
		if (ret)
			;
		else if (!strcmp(in->str, "tasks"))
			ret = read_tasks(in);
		else if (!strcmp(in->str, "pages"))
			ret = number(in, &pages);
		else if (!strcmp(in->str, "exact"))
			ret = json_bool(in, &exact);
		else
			ret = json_skip(in);
	}
	if (ret || json_end(in))
		return -1;
	printf("%s%" PRIu64 " pages are missing\n", exact ? "" : "up to ", pages);
	return 0;
}

int x_missing(const char *path)
{
	cleanup_free char *name = xasprintf("%s/" MISSING_FILE, path);
	cleanup_close int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	struct json_in in;
	int ret;

	if (!name)
		return -1;
	if (fd < 0 && errno == ENOENT) {
		pr_err("%s: there is no " MISSING_FILE
		       ": lazy-pages writes it into its work directory when it gives up",
		       path);
		return -1;
	}
	if (fd < 0) {
		pr_perror("Can't open %s", name);
		return -1;
	}
	if (json_in_init(&in, fd, name))
		return -1;
	ret = read_report(&in);
	json_in_free(&in);
	return ret;
}
