// SPDX-License-Identifier: GPL-2.0-only
#include "proc/proc.h"

#include <sys/mman.h>

#include "proc/text.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* The kernel writes a newline in a name as \012, and nothing else. */
static void unescape_newlines(char *s)
{
	char *to = strstr(s, "\\012");

	if (!to)
		return;
	for (char *from = to; (*to = *from); to++)
		if (!strncmp(from, "\\012", 4)) {
			*to = '\n';
			from += 4;
		} else {
			from++;
		}
}

/* "start-end rwxp pgoff major:minor inode     path"; END is the line's end, where a NUL is put. */
static bool parse_line(char *line, char *end, struct proc_vma *v)
{
	const char *p = line;
	uint64_t major, minor;

	*end = 0;
	v->vm_flags = 0;
	if (!take_hex(&p, &v->start) || !take_char(&p, '-') || !take_hex(&p, &v->end) ||
	    !take_char(&p, ' ') || v->start >= v->end || strnlen(p, 5) < 5)
		return false;
	v->prot = (p[0] == 'r' ? PROT_READ : 0) | (p[1] == 'w' ? PROT_WRITE : 0) |
		  (p[2] == 'x' ? PROT_EXEC : 0);
	v->shared = p[3] == 's';
	p += 4;
	if (!take_char(&p, ' ') || !take_hex(&p, &v->pgoff) || !take_char(&p, ' ') ||
	    !take_hex(&p, &major) || !take_char(&p, ':') || !take_hex(&p, &minor) ||
	    !take_char(&p, ' ') || !take_dec(&p, &v->ino))
		return false;
	v->dev_major = major;
	v->dev_minor = minor;
	skip_blanks(&p);
	v->path = line + (p - line);
	unescape_newlines(v->path);
	return true;
}

static int not_understood(const char *line)
{
	pr_err("/proc/PID/maps is not understood: %.200s", line);
	return -1;
}

int proc_parse_maps(char *text, proc_vma_fn cb, void *arg)
{
	struct proc_vma v;
	int ret;

	for (char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end || !parse_line(line, end, &v))
			return not_understood(line);
		ret = cb(&v, arg);
		if (ret)
			return ret;
	}
	return 0;
}

static const struct {
	char name[3];
	uint64_t flag;
} vm_flags[] = {
	{ "rd", VMF_RD }, { "wr", VMF_WR }, { "ex", VMF_EX }, { "sh", VMF_SH }, { "mr", VMF_MR },
	{ "mw", VMF_MW }, { "me", VMF_ME }, { "ms", VMF_MS }, { "gd", VMF_GD }, { "pf", VMF_PF },
	{ "lo", VMF_LO }, { "io", VMF_IO }, { "sr", VMF_SR }, { "rr", VMF_RR }, { "dc", VMF_DC },
	{ "de", VMF_DE }, { "ac", VMF_AC }, { "nr", VMF_NR }, { "ht", VMF_HT }, { "wf", VMF_WF },
	{ "dd", VMF_DD }, { "sd", VMF_SD }, { "mm", VMF_MM }, { "hg", VMF_HG }, { "nh", VMF_NH },
	{ "mg", VMF_MG }, { "um", VMF_UM }, { "uw", VMF_UW }, { "ui", VMF_UI }, { "ss", VMF_SS },
	{ "sl", VMF_SL }, { "lf", VMF_LF }, { "dp", VMF_DP },
};

static uint64_t parse_flags(const char *p)
{
	uint64_t flags = 0;

	for (skip_blanks(&p); p[0] && p[0] != '\n' && p[1]; skip_blanks(&p)) {
		for (size_t i = 0; i < ARRAY_SIZE(vm_flags); i++)
			if (p[0] == vm_flags[i].name[0] && p[1] == vm_flags[i].name[1])
				flags |= vm_flags[i].flag;
		p += 2;
	}
	return flags;
}

int proc_parse_smaps(char *text, proc_vma_fn cb, void *arg)
{
	struct proc_vma v;
	bool have = false;
	int ret;

	for (char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			return not_understood(line);
		/* the VMA's own line begins with a lower-case hexadecimal digit, the others with a capital letter */
		if (*line < 'A' || *line > 'Z') {
			if (!parse_line(line, end, &v))
				return not_understood(line);
			have = true;
			continue;
		}
		if (*line != 'V' || strncmp(line, "VmFlags:", 8))
			continue;
		if (!have)
			return not_understood(line);
		have = false;
		*end = 0;
		v.vm_flags = parse_flags(line + 8);
		ret = cb(&v, arg);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_and_parse(int dirfd, const char *path, proc_vma_fn cb, void *arg,
			  int (*parse)(char *, proc_vma_fn, void *))
{
	cleanup_free char *text = read_file_at(dirfd, path, NULL);

	if (!text) {
		pr_perror("cannot read %s of a task", path);
		return -1;
	}
	return parse(text, cb, arg);
}

int proc_read_maps(int dirfd, const char *path, proc_vma_fn cb, void *arg)
{
	return read_and_parse(dirfd, path, cb, arg, proc_parse_maps);
}

int proc_read_smaps(int dirfd, const char *path, proc_vma_fn cb, void *arg)
{
	return read_and_parse(dirfd, path, cb, arg, proc_parse_smaps);
}
