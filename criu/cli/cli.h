/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line: the table of commands (commands.c), the table of options (options.c), the parser that both
 * the command line and the configuration files go through (parse.c, config.c), and the help text (help.c).
 * Called by main.c and by the RPC service.
 */
#ifndef CRIU_CLI_CLI_H
#define CRIU_CLI_CLI_H

#include <stdbool.h>

#include "util/opts.h"

/* Which commands an option is for. */
enum cmd_bit {
	C_DUMP = 1 << 0,
	C_PRE_DUMP = 1 << 1,
	C_RESTORE = 1 << 2,
	C_LAZY = 1 << 3,
	C_SERVER = 1 << 4,
	C_CHECK = 1 << 5,
	C_DEDUP = 1 << 6,
	C_CPUINFO = 1 << 7,
	C_SERVICE = 1 << 8,
	C_SWRK = 1 << 9,
	C_ALL = (1 << 10) - 1,
};

/* What a command does with the directories before it runs. */
enum dir_need {
	DIRS_NONE, /* only the log's: -W, -D or the current directory */
	DIRS_READ, /* the images are read */
	DIRS_WRITE /* images are written */
};

struct command {
	const char *name;
	enum cmd_bit bit;
	enum dir_need dirs;
	const char *args; /* what follows the name, for the help; NULL: nothing may */
	const char *help;
	int (*run)(void); /* exit status */
};
extern const struct command commands[]; /* commands.c, ends with a row without name */
const struct command *command_find(const char *name);

enum opt_kind {
	OPT_TITLE, /* not an option: a headline of the help, in HELP */
	OPT_FLAG,  /* bool; has a --no- form */
	OPT_STR,
	OPT_LIST, /* struct opt_list: may be given again and again */
	OPT_NUM,  /* int within MIN..MAX */
	OPT_FD,	  /* int: a descriptor that must be open */
	OPT_SIZE, /* uint64_t bytes, with K, M or G */
	OPT_CALL, /* PARSE decides; VALUE is NULL where an optional argument was left out */
};

struct opt_def {
	const char *name;
	char letter; /* 0: none */
	enum opt_kind kind;
	void *target;
	unsigned cmds;
	const char *arg; /* name of its argument; "[MODE]" is optional; NULL: takes none */
	const char *help;
	const char *not_yet; /* why it is refused; NULL: it works */
	/* -1: the value is wrong, logged with the option's name; NEGATED: the --no- form */
	int (*parse)(const struct opt_def *d, const char *value, bool negated);
	long min, max;
};
extern const struct opt_def opt_table[]; /* options.c, ends with a row without name and help */

/* What only criu/cli needs to know. */
struct cli_opts {
	const struct command *command;
	bool help, version, no_default_config;
	char *config;
	struct opt_list features; /* check --feature */
	bool check_all, check_extra, check_experimental;
	bool exec_cmd;
};
extern struct cli_opts cli;

/* Defaults, as before any option. */
void opts_init(void);
/*
 * Configuration files, then the command line, into opts and cli; combinations are checked. -1: logged with the option's name,
 * and nothing has been touched.
 */
int opts_parse(int argc, char **argv);
/* The files that options are read from before the command line, or before an RPC request's. */
int opts_read_configs(void);
/* The same checks for options that came by RPC. */
int opts_check(const struct command *c);
/* Nothing has been set yet (part of opts_init()). */
void opts_forget(void);
/* One option by its long name (config files, RPC). ORIGIN names the place in messages. VALUE may be NULL. */
int opts_set(const char *name, const char *value, const char *origin);
/* config.c: one file, its options go through opts_set(). MUST_EXIST false: a missing file is fine. */
int config_read(const char *path, bool must_exist);
int opt_list_add(struct opt_list *l, const char *value);

/* help.c: everything, or what is for C */
void usage(int fd, const struct command *c);

/* dirs.c: opens images and work directory (util/dirs.h), goes to the work directory, opens the log. */
int dirs_open(enum dir_need need);
/* cpuinfo.c: writes cpuinfo.img; compares it with this CPU as --cpu-cap demands. -1: logged. */
int cpuinfo_save(void);
int cpuinfo_check(void);

/* commands.c: restore, after what --cpu-cap demands; the root task's pid is stored where ROOT_PID is not NULL. Exit status. */
int restore_checked(pid_t *root_pid);

/* check.c, cpuinfo.c, dedup.c, service.c */
int cmd_check(void);
int cmd_cpuinfo(void);
int cmd_dedup(void);
int cmd_service(void);
int cmd_swrk(void);

#endif
