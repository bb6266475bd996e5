// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "cli/cli.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define COLUMN 30
#define WIDTH  100

/* TEXT from COLUMN on, broken at blanks. AT: where the cursor is. */
static void print_text(int fd, const char *text, int at)
{
	if (at >= COLUMN) {
		dprintf(fd, "\n");
		at = 0;
	}
	while (*text) {
		size_t len = strlen(text), room = WIDTH - COLUMN;

		if (len > room)
			for (len = room; len && text[len] != ' ';)
				len--;
		dprintf(fd, "%*s%.*s\n", COLUMN - at, "", (int)len, text);
		text += len + (text[len] == ' ');
		at = 0;
	}
}

static void print_option(int fd, const struct opt_def *d)
{
	const char *arg = d->arg ?: "";
	char left[128];
	int at;

	if (d->letter)
		at = snprintf(left, sizeof(left), "  -%c, --%s", d->letter, d->name);
	else
		at = snprintf(left, sizeof(left), "      --%s", d->name);
	if (arg[0] == '[') /* an optional argument must be written with '=' */
		at += snprintf(left + at, sizeof(left) - at, "[=%s", arg + 1);
	else if (arg[0])
		at += snprintf(left + at, sizeof(left) - at, " %s", arg);
	dprintf(fd, "%s", left);
	print_text(fd, d->help, at);
}

static void print_options(int fd, const struct command *c)
{
	const char *title = NULL;

	for (const struct opt_def *d = opt_table; d->name || d->help; d++) {
		if (!d->name) {
			title = d->help;
			continue;
		}
		if (d->not_yet || (c && !(d->cmds & c->bit)))
			continue;
		if (title)
			dprintf(fd, "\n%s:\n", title);
		title = NULL;
		print_option(fd, d);
	}
}

static void print_missing(int fd, const struct command *c)
{
	cleanup_free char *all = xstrdup("");

	for (const struct opt_def *d = opt_table; all && (d->name || d->help); d++) {
		char *more;

		if (!d->name || !d->not_yet || (c && !(d->cmds & c->bit)))
			continue;
		more = xasprintf("%s%s--%s", all, *all ? ", " : "", d->name);
		free(all);
		all = more;
	}
	if (!all || !*all)
		return;
	dprintf(fd, "\nNot supported yet (refused, with the reason):\n");
	print_text(fd, all, 0);
}

void usage(int fd, const struct command *c)
{
	if (c) {
		dprintf(fd, "Usage: criu %s %s%s[OPTIONS]\n\n%s.\n", c->name, c->args ?: "",
			c->args ? " " : "", c->help);
	} else {
		dprintf(fd, "Usage: criu COMMAND [OPTIONS]\n\nCommands:\n");
		for (c = commands; c->name; c++) {
			int at = dprintf(fd, "  %s %s", c->name, c->args ?: "");

			print_text(fd, c->help, at);
		}
		c = NULL;
		dprintf(fd, "\ncriu COMMAND --help lists the options of one command.\n"
			    "Options also come from /etc/criu/default.conf, ~/.criu/default.conf, "
			    "$CRIU_CONFIG_FILE and --config FILE.\n");
	}
	print_options(fd, c);
	print_missing(fd, c);
}
