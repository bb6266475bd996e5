// SPDX-License-Identifier: GPL-2.0-only
/* crit: a table of subcommands. */
#include "crit.h"

#include <stdio.h>
#include <string.h>

#include "util/log.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *args, *what;
} commands[] = {
	{ "decode", cmd_decode, "[-i IN] [-o OUT] [--pretty] [--nopl]", "an image as JSON" },
	{ "encode", cmd_encode, "[-i IN] [-o OUT]", "JSON as an image" },
	{ "show", cmd_show, "[--nopl] [IN]", "an image in readable form" },
	{ "info", cmd_info, "[IN]", "what an image is and how many entries it has" },
	{ "x", cmd_x, "DIR ps|fds|mems|rss|missing", "look around in a checkpoint" },
	{ "verify", cmd_verify, "DIR", "is it a checkpoint that can be restored?" },
	{ "diff", cmd_diff, "A B", "what changed between two checkpoints of a tree" },
	{ "core-dump", cmd_core_dump, "DIR OUT", "core files for a debugger" },
	{ "make-lazy", cmd_make_lazy, "DIR OUT",
	  "split a checkpoint: OUT without the pages that can come later" },
};

static int help(size_t i)
{
	printf("usage: crit %s %s\n\n%s\n\nSee crit(1).\n", commands[i].name, commands[i].args,
	       commands[i].what);
	return 0;
}

static int usage(FILE *f)
{
	fprintf(f, "usage: crit COMMAND [options]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(f, "  %-9s %-38s %s\n", commands[i].name, commands[i].args,
			commands[i].what);
	fprintf(f, "\nIN and OUT are standard input and output by default. crit COMMAND --help "
		   "says more; see crit(1).\n");
	return f == stderr;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return usage(stdout);
	if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		printf("Version: %s\n", CRIU_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name)) {
			if (argc > 2 && (!strcmp(argv[2], "-h") || !strcmp(argv[2], "--help")))
				return help(i);
			return commands[i].run(argc - 1, argv + 1);
		}
	pr_err("crit: unknown command %s; crit --help lists them", argv[1]);
	return 1;
}
