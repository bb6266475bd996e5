// SPDX-License-Identifier: GPL-2.0-only
#include "proc/proc.h"

#include <signal.h>

#include "proc/text.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif

/* "signal/pid.42": how, and whom */
static bool take_notify(const char *p, struct proc_timer *t)
{
	static const struct {
		const char *name;
		int notify;
	} kinds[] = { { "signal/", SIGEV_SIGNAL },
		      { "none/", SIGEV_NONE },
		      { "thread/", SIGEV_THREAD } };
	uint64_t target;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i].name);

		if (strncmp(p, kinds[i].name, len))
			continue;
		p += len;
		t->notify = kinds[i].notify;
		if (!strncmp(p, "tid.", 4))
			t->notify |= SIGEV_THREAD_ID;
		else if (strncmp(p, "pid.", 4))
			return false;
		p += 4;
		if (!take_dec(&p, &target))
			return false;
		t->target = target;
		return true;
	}
	return false;
}

/* One line of a timer that has begun. */
static bool take_line(const char *line, struct proc_timer *t)
{
	const char *p;
	uint64_t v;
	int64_t clock;

	if ((p = after_key(line, "signal"))) {
		if (!take_dec(&p, &v) || !take_char(&p, '/') || !take_hex(&p, &t->sival))
			return false;
		t->signo = v;
		return true;
	}
	if ((p = after_key(line, "notify")))
		return take_notify(p, t);
	if ((p = after_key(line, "ClockID"))) {
		if (!take_signed(&p, &clock))
			return false;
		t->clock = clock;
	}
	return true;
}

int proc_parse_timers(const char *text, struct proc_timer **timers, size_t *nr)
{
	cleanup_free struct proc_timer *v = NULL;
	size_t cap = 0;
	uint64_t id;

	*nr = 0;
	*timers = NULL;
	for (const char *line = *text ? text : NULL; line; line = next_line(line)) {
		const char *p = after_key(line, "ID");

		if (p) {
			if (!take_dec(&p, &id) || id > INT32_MAX)
				goto damaged;
			if (xgrow(&v, &cap, *nr, sizeof(*v)))
				return -1;
			v[(*nr)++] = (struct proc_timer){ .id = id };
		} else if (!*nr || !take_line(line, &v[*nr - 1])) {
			goto damaged;
		}
		continue;
	damaged:
		pr_err("/proc/PID/timers is not understood: %.*s", (int)strcspn(line, "\n"), line);
		return -1;
	}
	*timers = move_ptr(v);
	return 0;
}

int proc_read_timers(int dirfd, const char *path, struct proc_timer **timers, size_t *nr)
{
	cleanup_free char *text = read_file_at(dirfd, path, NULL);

	if (!text) {
		pr_perror("cannot read %s of a task", path);
		return -1;
	}
	return proc_parse_timers(text, timers, nr);
}
