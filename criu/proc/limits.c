// SPDX-License-Identifier: GPL-2.0-only
#include "proc/proc.h"

#include "proc/text.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* names in the file, by RLIMIT_* */
static const char *const names[PROC_NR_LIMITS] = {
	"Max cpu time",	      "Max file size",	   "Max data size",	    "Max stack size",
	"Max core file size", "Max resident set",  "Max processes",	    "Max open files",
	"Max locked memory",  "Max address space", "Max file locks",	    "Max pending signals",
	"Max msgqueue size",  "Max nice priority", "Max realtime priority", "Max realtime timeout",
};

static bool take_limit(const char **p, uint64_t *v)
{
	static const char unlimited[] = "unlimited";

	skip_blanks(p);
	if (strncmp(*p, unlimited, strlen(unlimited)))
		return take_dec(p, v);
	*p += strlen(unlimited);
	*v = UINT64_MAX;
	return true;
}

int proc_parse_limits(const char *text, struct proc_limit limits[PROC_NR_LIMITS])
{
	unsigned seen = 0;

	for (const char *line = next_line(text); line; line = next_line(line))
		for (int i = 0; i < PROC_NR_LIMITS; i++) {
			size_t len = strlen(names[i]);
			const char *p = line + len;

			if (strncmp(line, names[i], len) || *p != ' ')
				continue;
			if (!take_limit(&p, &limits[i].cur) || !take_limit(&p, &limits[i].max))
				break;
			seen |= 1u << i;
		}
	if (seen == (1u << PROC_NR_LIMITS) - 1)
		return 0;
	pr_err("/proc/PID/limits is not understood: no \"%s\"", names[__builtin_ctz(~seen)]);
	return -1;
}

int proc_read_limits(int dirfd, const char *path, struct proc_limit limits[PROC_NR_LIMITS])
{
	cleanup_free char *text = read_file_at(dirfd, path, NULL);

	if (!text) {
		pr_perror("cannot read %s of a task", path);
		return -1;
	}
	return proc_parse_limits(text, limits);
}
