// SPDX-License-Identifier: GPL-2.0-only
#include "proc/proc.h"

#include "proc/text.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

static bool take_offset(const char *p, int64_t *sec, uint32_t *nsec)
{
	uint64_t v;

	skip_blanks(&p);
	if (!take_signed(&p, sec))
		return false;
	skip_blanks(&p);
	if (!take_dec(&p, &v) || v > 999999999)
		return false;
	*nsec = v;
	return true;
}

int proc_parse_timens(const char *text, struct proc_timens *t)
{
	bool monotonic = false, boottime = false;

	memset(t, 0, sizeof(*t));
	for (const char *line = text; line; line = next_line(line)) {
		if (!strncmp(line, "monotonic ", 10))
			monotonic = take_offset(line + 10, &t->monotonic_sec, &t->monotonic_nsec);
		if (!strncmp(line, "boottime ", 9))
			boottime = take_offset(line + 9, &t->boottime_sec, &t->boottime_nsec);
	}
	if (monotonic && boottime)
		return 0;
	pr_err("/proc/PID/timens_offsets is not understood: %.100s", text);
	return -1;
}

int proc_read_timens(int dirfd, const char *path, struct proc_timens *t)
{
	cleanup_free char *text = read_file_at(dirfd, path, NULL);

	if (!text) {
		pr_perror("cannot read %s of a task", path);
		return -1;
	}
	return proc_parse_timens(text, t);
}
