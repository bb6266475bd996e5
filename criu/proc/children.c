// SPDX-License-Identifier: GPL-2.0-only
#include "proc/proc.h"

#include "proc/text.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

int proc_parse_children(const char *text, pid_t **pids, size_t *nr)
{
	cleanup_free pid_t *v = NULL;
	size_t cap = 0;
	uint64_t pid;

	*nr = 0;
	*pids = NULL;
	for (skip_blanks(&text); *text && *text != '\n'; skip_blanks(&text)) {
		if (!take_dec(&text, &pid) || pid > INT32_MAX) {
			pr_err("/proc/PID/task/TID/children is not understood: %.80s", text);
			return -1;
		}
		if (xgrow(&v, &cap, *nr, sizeof(*v)))
			return -1;
		v[(*nr)++] = pid;
	}
	*pids = move_ptr(v);
	return 0;
}

int proc_read_children(int dirfd, const char *path, pid_t **pids, size_t *nr)
{
	cleanup_free char *text = read_file_at(dirfd, path, NULL);

	if (!text) {
		pr_perror("cannot read %s of a task", path);
		return -1;
	}
	return proc_parse_children(text, pids, nr);
}
