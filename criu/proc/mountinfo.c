// SPDX-License-Identifier: GPL-2.0-only
#include "proc/proc.h"

#include "proc/text.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* Ends the word at *P with a NUL, undoes its octal escapes (\040 for a blank and so on) and moves *P behind it. */
static char *take_word(char **p)
{
	char *word = *p, *to = word, *from = word;

	for (; *from && *from != ' '; to++)
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
		    from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');
			from += 4;
		} else {
			*to = *from++;
		}
	*p = *from ? from + 1 : from;
	*to = 0;
	return from == word ? NULL : word;
}

static bool take_tag(const char *word, struct proc_mount *m)
{
	static const struct {
		const char *name;
		size_t offset;
	} groups[] = {
		{ "shared:", offsetof(struct proc_mount, shared) },
		{ "master:", offsetof(struct proc_mount, master) },
		{ "propagate_from:", offsetof(struct proc_mount, propagate_from) },
	};
	uint64_t id;

	if (!strcmp(word, "unbindable"))
		m->unbindable = true;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const char *p = word + strlen(groups[i].name);

		if (strncmp(word, groups[i].name, strlen(groups[i].name)))
			continue;
		if (!take_dec(&p, &id) || *p)
			return false;
		*(int *)((char *)m + groups[i].offset) = id;
	}
	return true; /* tags of later kernels mean nothing to us */
}

/* "id parent major:minor root mountpoint options [tags] - fstype source super-options" */
static bool parse_line(char *line, struct proc_mount *m)
{
	const char *c = line;
	uint64_t id, parent, major, minor;
	char *p, *word;

	memset(m, 0, sizeof(*m));
	if (!take_dec(&c, &id) || !take_char(&c, ' ') || !take_dec(&c, &parent) ||
	    !take_char(&c, ' ') || !take_dec(&c, &major) || !take_char(&c, ':') ||
	    !take_dec(&c, &minor) || !take_char(&c, ' '))
		return false;
	m->id = id;
	m->parent = parent;
	m->dev_major = major;
	m->dev_minor = minor;
	p = line + (c - line);
	m->root = take_word(&p);
	m->mountpoint = take_word(&p);
	m->options = take_word(&p);
	while ((word = take_word(&p)) && strcmp(word, "-"))
		if (!take_tag(word, m))
			return false;
	m->fstype = take_word(&p);
	if (*p == ' ') { /* no source: two blanks in a row */
		m->source = p;
		*p++ = 0;
	} else {
		m->source = take_word(&p);
	}
	m->super_options = take_word(&p);
	return m->root && m->mountpoint && m->options && m->fstype && m->source && m->super_options;
}

int proc_parse_mountinfo(char *text, proc_mount_fn cb, void *arg)
{
	struct proc_mount m;
	int ret;

	for (char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (end)
			*end = 0;
		if (!end || !parse_line(line, &m)) {
			pr_err("/proc/PID/mountinfo is not understood: %.200s", line);
			return -1;
		}
		ret = cb(&m, arg);
		if (ret)
			return ret;
	}
	return 0;
}

int proc_read_mountinfo(int dirfd, const char *path, proc_mount_fn cb, void *arg)
{
	cleanup_free char *text = read_file_at(dirfd, path, NULL);

	if (!text) {
		pr_perror("cannot read %s of a task", path);
		return -1;
	}
	return proc_parse_mountinfo(text, cb, arg);
}
