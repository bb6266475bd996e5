// SPDX-License-Identifier: GPL-2.0-only
/* From words to values: the command line, configuration files and RPC all end in apply(). */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "cli/cli.h"
#include "files/files.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define MAX_OPTS 160

/* Who set an option last, by its row in the table. */
static struct {
	bool on, by_hand; /* by_hand: command line or RPC, not a config file */
} seen[MAX_OPTS];

void opts_forget(void)
{
	memset(seen, 0, sizeof(seen));
}

int opt_list_add(struct opt_list *l, const char *value)
{
	if (xgrow(&l->v, &l->cap, l->nr, sizeof(*l->v)))
		return -1;
	l->v[l->nr] = xstrdup(value);
	return l->v[l->nr] ? (l->nr++, 0) : -1;
}

static bool row_is_last(const struct opt_def *d)
{
	return !d->name && !d->help;
}

static bool takes_arg(const struct opt_def *d)
{
	return d->arg && d->arg[0] != '[';
}

static const struct opt_def *find_letter(char letter)
{
	for (const struct opt_def *d = opt_table; !row_is_last(d); d++)
		if (d->letter == letter)
			return d;
	return NULL;
}

/* By name, or by the beginning of exactly one name, as getopt_long(3) does. */
static const struct opt_def *find_name(const char *name, size_t len)
{
	const struct opt_def *found = NULL;

	for (const struct opt_def *d = opt_table; !row_is_last(d); d++) {
		if (!d->name || strncmp(d->name, name, len))
			continue;
		if (!d->name[len])
			return d;
		if (found)
			return NULL;
		found = d;
	}
	return len ? found : NULL;
}

static const struct opt_def *find_exact(const char *name, size_t len)
{
	const struct opt_def *d = find_name(name, len);

	return d && !d->name[len] ? d : NULL;
}

static int parse_num(const char *what, const char *s, long lo, long hi, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(s, &end, 10);
	if (!*s || *end || errno || *out < lo || *out > hi) {
		pr_err("--%s: %s is not a number from %ld to %ld", what, s, lo, hi);
		return -1;
	}
	return 0;
}

static int parse_size(const char *what, const char *s, uint64_t *out)
{
	unsigned shift = 0;
	char *end;

	errno = 0;
	*out = strtoull(s, &end, 0);
	switch (*end) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	}
	if (end == s || *s == '-' || errno || (*end && (!shift || end[1])) ||
	    *out > UINT64_MAX >> shift) {
		pr_err("--%s: %s is not a size (bytes, or a number with K, M or G)", what, s);
		return -1;
	}
	*out <<= shift;
	return 0;
}

static int store(const struct opt_def *d, const char *value, bool negated)
{
	long num;

	switch (d->kind) {
	case OPT_FLAG:
		*(bool *)d->target = !negated;
		return 0;
	case OPT_STR:
		free(*(char **)d->target);
		return (*(char **)d->target = xstrdup(value)) ? 0 : -1;
	case OPT_LIST:
		return opt_list_add(d->target, value);
	case OPT_SIZE:
		return parse_size(d->name, value, d->target);
	case OPT_NUM:
	case OPT_FD:
		if (parse_num(d->name, value, d->min, d->max ?: INT_MAX, &num))
			return -1;
		if (d->kind == OPT_FD && fcntl(num, F_GETFD) < 0) {
			pr_err("--%s: descriptor %ld is not open", d->name, num);
			return -1;
		}
		*(int *)d->target = num;
		return 0;
	case OPT_CALL:
		return d->parse(d, value, negated);
	case OPT_TITLE:
		break;
	}
	return -1;
}

static int apply(const struct opt_def *d, const char *value, bool negated, bool by_hand)
{
	if (value && !d->arg) {
		pr_err("--%s takes no argument", d->name);
		return -1;
	}
	if (!value && takes_arg(d) && !negated) {
		pr_err("--%s needs an argument: %s", d->name, d->arg);
		return -1;
	}
	seen[d - opt_table].on = !negated;
	seen[d - opt_table].by_hand = by_hand;
	return store(d, value, negated);
}

/* "name", "name=value" or "no-name" for switches. *VALUE points behind '=', or is NULL. */
static const struct opt_def *split_name(const char *word, const char **value, bool *negated)
{
	size_t len = strcspn(word, "=");
	const struct opt_def *d = find_exact(word, len);

	*value = word[len] ? word + len + 1 : NULL;
	*negated = false;
	if (!d && !strncmp(word, "no-", 3)) {
		d = find_name(word + 3, len - 3);
		if (d && d->kind == OPT_FLAG && !*value) {
			*negated = true;
			return d;
		}
		d = NULL;
	}
	return d ?: find_name(word, len);
}

int opts_set(const char *name, const char *value, const char *origin)
{
	const char *inline_value;
	bool negated;
	const struct opt_def *d = split_name(name, &inline_value, &negated);

	if (!d) {
		pr_err("%s: unknown option %s", origin, name);
		return -1;
	}
	if (apply(d, inline_value ?: value, negated, false)) {
		pr_err("%s: option %s is not right", origin, name);
		return -1;
	}
	return 0;
}

/* The walk over argv: calls CB for each option; words that are none are collected in opts.args. */
struct walk {
	int argc, at;
	char **argv;
	int (*cb)(const struct opt_def *d, const char *value, bool negated);
	char **words;
	int nr_words;
};

static const char *next_word(struct walk *w, const struct opt_def *d)
{
	if (takes_arg(d) && w->at < w->argc)
		return w->argv[w->at++];
	return NULL;
}

static int walk_long(struct walk *w, const char *word)
{
	const char *value;
	bool negated;
	const struct opt_def *d = split_name(word, &value, &negated);

	if (!d) {
		pr_err("Unknown option --%s. criu --help lists all", word);
		return -1;
	}
	if (!value && !negated)
		value = next_word(w, d);
	return w->cb(d, value, negated);
}

/* "-Rj", "-tPID", "-t PID", "-v4", "-vvv" */
static int walk_short(struct walk *w, const char *s)
{
	while (*s) {
		const struct opt_def *d = find_letter(*s);
		const char *value = NULL;

		if (!d) {
			pr_err("Unknown option -%c. criu --help lists all", *s);
			return -1;
		}
		s++;
		if (takes_arg(d)) {
			value = *s ? s : next_word(w, d);
			s = "";
		} else if (d->arg && *s && (d->letter != 'v' || (*s >= '0' && *s <= '9'))) {
			value = s;
			s = "";
		}
		if (w->cb(d, value, false))
			return -1;
	}
	return 0;
}

static int walk_args(struct walk *w)
{
	w->nr_words = 0;
	for (w->at = 1; w->at < w->argc;) {
		const char *word = w->argv[w->at++];
		int ret = 0;

		if (!strcmp(word, "--")) {
			while (w->at < w->argc)
				w->words[w->nr_words++] = w->argv[w->at++];
		} else if (!strncmp(word, "--", 2)) {
			ret = walk_long(w, word + 2);
		} else if (word[0] == '-' && word[1]) {
			ret = walk_short(w, word + 1);
		} else {
			w->words[w->nr_words++] = (char *)word;
		}
		if (ret)
			return -1;
	}
	return 0;
}

static int only_config(const struct opt_def *d, const char *value, bool negated)
{
	if (d->target == &cli.config || d->target == &cli.no_default_config)
		return apply(d, value, negated, true);
	return 0;
}

static int by_hand(const struct opt_def *d, const char *value, bool negated)
{
	return d->target == &cli.config ? 0 : apply(d, value, negated, true);
}

int opts_read_configs(void)
{
	const char *home = getenv("HOME"), *env = getenv("CRIU_CONFIG_FILE");
	cleanup_free char *own = home && *home ? xasprintf("%s/.criu/default.conf", home) : NULL;

	if (!cli.no_default_config) {
		if (config_read("/etc/criu/default.conf", false))
			return -1;
		if (own && config_read(own, false))
			return -1;
	}
	if (env && *env && config_read(env, true))
		return -1;
	return cli.config ? config_read(cli.config, true) : 0;
}

/* Options that are not for this command or not there yet. */
static int check_rows(const struct command *c)
{
	for (const struct opt_def *d = opt_table; !row_is_last(d); d++) {
		bool ours = d->cmds & c->bit;

		if (!d->name || !seen[d - opt_table].on)
			continue;
		if (!ours && seen[d - opt_table].by_hand)
			pr_warn("--%s has no effect on %s", d->name, c->name);
		if (ours && d->not_yet) {
			pr_err("--%s is not supported yet: %s", d->name, d->not_yet);
			return -1;
		}
	}
	return 0;
}

struct rule {
	unsigned cmds;
	const bool *a, *b;
	const char *why;
};
static const struct rule exclusive[] = {
	{ C_DUMP, &opts.leave_running, &opts.leave_stopped,
	  "--leave-running and --leave-stopped: choose one" },
	{ C_DUMP, &opts.lazy_pages, &opts.leave_running,
	  "--leave-running can't go with --lazy-pages: the tasks end here when they run "
	  "elsewhere" },
	{ C_DUMP, &opts.lazy_pages, &opts.leave_stopped,
	  "--leave-stopped can't go with --lazy-pages: the tasks end here when they run "
	  "elsewhere" },
	{ C_DUMP, &opts.lazy_pages, &opts.page_server,
	  "--page-server can't go with --lazy-pages: the first sends the pages, the second keeps "
	  "them and waits to be asked" },
	{ C_DUMP | C_RESTORE, &opts.tcp_established, &opts.tcp_close,
	  "--tcp-established and --tcp-close: choose one" },
	{ C_DUMP | C_PRE_DUMP | C_LAZY | C_SERVER, &opts.tls, &opts.tls_psk,
	  "--tls and --tls-psk: choose one" },
};

static int check_needs(const struct command *c)
{
	unsigned bit = c->bit;

	if (bit & (C_DUMP | C_PRE_DUMP) && !opts.pid) {
		pr_err("%s: which tree? Give its root's pid with --tree PID", c->name);
		return -1;
	}
	if (bit & (C_DUMP | C_PRE_DUMP | C_LAZY) && opts.page_server && opts.ps_socket < 0 &&
	    !opts.port) {
		pr_err("--page-server: where is it? Give --address and --port, or --ps-socket");
		return -1;
	}
	if (bit & C_LAZY && opts.compress && !opts.page_server && !opts.resume) {
		pr_err("--compress needs --page-server: pages of images on this host are not sent");
		return -1;
	}
	if (bit & C_DUMP && opts.spill && !opts.lazy_pages) {
		pr_err("--spill needs --lazy-pages: a plain dump writes all pages anyhow");
		return -1;
	}
	if (bit & C_RESTORE && opts.restore_sibling && !opts.restore_detach) {
		pr_err("--restore-sibling needs --restore-detached");
		return -1;
	}
	if (bit & C_RESTORE && cli.exec_cmd != (opts.nr_args > 0)) {
		pr_err(cli.exec_cmd ? "--exec-cmd: what is to be run? Put the command behind --"
				    : "restore: a command follows, but --exec-cmd was not given");
		return -1;
	}
	if (!opts.tls && (opts.tls_cacert || opts.tls_cacrl || opts.tls_cert || opts.tls_key)) {
		pr_err("--tls-cacert, --tls-cacrl, --tls-cert and --tls-key need --tls");
		return -1;
	}
	return 0;
}

static bool is_of_connection(const struct opt_def *d)
{
	static const char *const names[] = { "address", "port",	   "ps-socket",
					     "tls",	"tls-psk", "tls-no-cn-verify" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (d->name && !strcmp(d->name, names[i]))
			return true;
	return false;
}

/* Who names a server, but not what it is for, gets images on this host instead: that shall not come as a surprise. */
static void warn_without_connection(const struct command *c)
{
	bool may_serve = c->bit & C_DUMP;

	if (!(c->bit & (C_DUMP | C_PRE_DUMP | C_LAZY)) || opts.page_server || opts.resume ||
	    (may_serve && opts.lazy_pages))
		return;
	for (const struct opt_def *d = opt_table; !row_is_last(d); d++)
		if (is_of_connection(d) && seen[d - opt_table].on && seen[d - opt_table].by_hand)
			pr_warn("--%s has no effect on %s without --page-server%s", d->name,
				c->name, may_serve ? " or --lazy-pages" : "");
}

static int check_inherited(const struct command *c)
{
	for (size_t i = 0; c->bit & C_RESTORE && i < opts.inherit_fd.nr; i++) {
		const char *arg = opts.inherit_fd.v[i];
		int fd;

		if (!inherit_fd_parse(arg, &fd)) {
			pr_err("--inherit-fd: %s is not of the form fd[N]:RESOURCE (such as "
			       "fd[3]:pipe:[12345])",
			       arg);
			return -1;
		}
		if (fcntl(fd, F_GETFD) < 0) {
			pr_err("--inherit-fd: %s: criu was not given an open descriptor %d", arg,
			       fd);
			return -1;
		}
	}
	return 0;
}

int opts_check(const struct command *c)
{
	if (check_rows(c))
		return -1;
	for (unsigned i = 0; i < ARRAY_SIZE(exclusive); i++)
		if (c->bit & exclusive[i].cmds && *exclusive[i].a && *exclusive[i].b) {
			pr_err("%s", exclusive[i].why);
			return -1;
		}
	/* -d is --restore-detached for restore and --daemon for the servers */
	if (c->bit & (C_LAZY | C_SERVER | C_SERVICE))
		opts.daemon_mode |= opts.restore_detach;
	if (check_needs(c) || check_inherited(c))
		return -1;
	warn_without_connection(c);
	return 0;
}

static int find_command(char **words, int nr)
{
	if (cli.version || (cli.help && !nr))
		return 0;
	if (!nr) {
		usage(STDERR_FILENO, NULL);
		return -1;
	}
	cli.command = command_find(words[0]);
	if (!cli.command) {
		pr_err("Unknown command %s. criu --help lists all", words[0]);
		return -1;
	}
	opts.args = words + 1;
	opts.nr_args = nr - 1;
	if (nr > 1 && !cli.command->args) {
		pr_err("%s: unexpected argument %s", words[0], words[1]);
		return -1;
	}
	return 0;
}

int opts_parse(int argc, char **argv)
{
	struct walk w = { .argc = argc, .argv = argv, .cb = only_config };

	w.words = xcalloc(argc + 1, sizeof(*w.words));
	if (!w.words || walk_args(&w) || opts_read_configs())
		return -1;
	w.cb = by_hand;
	if (walk_args(&w) || find_command(w.words, w.nr_words))
		return -1;
	return cli.command && !cli.help ? opts_check(cli.command) : 0;
}
