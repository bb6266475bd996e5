// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration files: one option per line, without the dashes, its value behind it; "#" begins a comment; double
 * quotes keep blanks (and \" a quote) in a value. criu(8), "CONFIGURATION FILES".
 */
#include <ctype.h>
#include <fcntl.h>

#include "cli/cli.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* Cuts the next word out of *S, in place. NULL: the line is over. *BAD: a quote is not closed. */
static char *cut_word(char **s, bool *bad)
{
	char *in = *s, *out, *word;
	bool quoted = false;

	while (isspace((unsigned char)*in))
		in++;
	if (!*in || *in == '#')
		return NULL;
	for (word = out = in; *in && (quoted || (!isspace((unsigned char)*in) && *in != '#'));
	     in++) {
		if (*in == '"')
			quoted = !quoted;
		else if (*in == '\\' && in[1])
			*out++ = *++in;
		else
			*out++ = *in;
	}
	*bad = quoted;
	*s = *in == '#' || !*in ? in + strlen(in) : in + 1;
	*out = 0;
	return word;
}

static int read_line(char *line, const char *origin)
{
	bool bad = false;
	char *name = cut_word(&line, &bad), *value, *more;

	if (!name)
		return 0;
	value = cut_word(&line, &bad);
	more = value ? cut_word(&line, &bad) : NULL;
	if (bad) {
		pr_err("%s: a quote is not closed", origin);
		return -1;
	}
	if (more) {
		pr_err("%s: %s: one value per option; put quotes around a value with blanks",
		       origin, name);
		return -1;
	}
	if (name[0] == '-') {
		pr_err("%s: %s: options are written without dashes here", origin, name);
		return -1;
	}
	return opts_set(name, value, origin);
}

int config_read(const char *path, bool must_exist)
{
	cleanup_free char *text = read_file_at(AT_FDCWD, path, NULL);
	unsigned nr = 0;
	char *at = text, *line;

	if (!text) {
		if (errno == ENOENT && !must_exist)
			return 0;
		pr_perror("Can't read the configuration file %s", path);
		return -1;
	}
	while ((line = strsep(&at, "\n"))) {
		cleanup_free char *origin = xasprintf("%s:%u", path, ++nr);

		if (!origin || read_line(line, origin))
			return -1;
	}
	return 0;
}
