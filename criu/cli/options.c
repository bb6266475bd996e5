// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of options: one row each. Help, parser, configuration files, bash completion and the checks read it; an
 * option that does not do what it says carries the reason in not_yet, and is refused with it.
 */
#include <stddef.h>

#include "cli/cli.h"
#include "cpuinfo.h"
#include "rpc.pb-c.h"
#include "util/log.h"
#include "util/xmalloc.h"

struct opts opts;
struct cli_opts cli;

void opts_init(void)
{
	opts = (struct opts){
		.verbosity = LOG_WARN,
		.status_fd = -1,
		.ps_socket = -1,
		.timeout_s = 10,
		.pre_dump_mode = PRE_DUMP_READ,
		.network_lock = NETWORK_LOCK_IPTABLES,
		.ghost_limit = 1 << 20,
		.manage_cgroups = CRIU_CG_MODE__DEFAULT,
		.cpu_cap = CPU_CAP_FPU | CPU_CAP_INS,
		.reconnect_timeout_s = 0,
	};
	cli = (struct cli_opts){ 0 };
	opts_forget();
}

struct choice {
	const char *word;
	int value;
};

/* The value that belongs to WORD; -1 where it is none, logged with all that there are. */
static int choose(const struct opt_def *d, const char *word, const struct choice *c)
{
	char all[256] = "";

	for (const struct choice *i = c; i->word; i++) {
		if (!strcmp(i->word, word))
			return i->value;
		strcat(strcat(all, " "), i->word);
	}
	pr_err("--%s: %s is not one of:%s", d->name, word, all);
	return -1;
}

static int parse_choice(const struct opt_def *d, const char *value, const struct choice *c)
{
	int n = choose(d, value, c);

	if (n >= 0)
		*(int *)d->target = n;
	return n < 0 ? -1 : 0;
}

static int parse_verbosity(const struct opt_def *d, const char *value, bool negated)
{
	if (!value) {
		if (opts.verbosity < LOG_DEBUG)
			opts.verbosity++;
		return 0;
	}
	if (strspn(value, "0123456789") != strlen(value) || !*value) {
		pr_err("--verbosity: %s is not a level (0 silent, 1 errors, 2 warnings, 3 info, 4 "
		       "debug)",
		       value);
		return -1;
	}
	opts.verbosity = min(atoi(value), (int)LOG_DEBUG);
	return 0;
}

static int parse_pre_dump_mode(const struct opt_def *d, const char *value, bool negated)
{
	static const struct choice modes[] = { { "splice", PRE_DUMP_SPLICE },
					       { "read", PRE_DUMP_READ },
					       { NULL } };

	return parse_choice(d, value, modes);
}

static int parse_network_lock(const struct opt_def *d, const char *value, bool negated)
{
	static const struct choice methods[] = { { "iptables", NETWORK_LOCK_IPTABLES },
						 { "nftables", NETWORK_LOCK_NFTABLES },
						 { "skip", NETWORK_LOCK_SKIP },
						 { NULL } };

	return parse_choice(d, value, methods);
}

static int parse_file_validation(const struct opt_def *d, const char *value, bool negated)
{
	static const struct choice methods[] = { { "filesize", 0 }, { "buildid", 1 }, { NULL } };
	int n = choose(d, value, methods);

	opts.file_validation_buildid = n == 1;
	return n < 0 ? -1 : 0;
}

static int parse_manage_cgroups(const struct opt_def *d, const char *value, bool negated)
{
	static const struct choice modes[] = { { "ignore", CRIU_CG_MODE__IGNORE },
					       { "none", CRIU_CG_MODE__CG_NONE },
					       { "props", CRIU_CG_MODE__PROPS },
					       { "soft", CRIU_CG_MODE__SOFT },
					       { "full", CRIU_CG_MODE__FULL },
					       { "strict", CRIU_CG_MODE__STRICT },
					       { NULL } };
	int n = choose(d, value ?: "soft", modes);

	if (n < 0)
		return -1;
	if (n != CRIU_CG_MODE__IGNORE) {
		pr_err("--manage-cgroups is not supported yet: tasks are restored into the cgroups "
		       "of criu itself; only =ignore is accepted");
		return -1;
	}
	opts.manage_cgroups = n;
	return 0;
}

static int parse_empty_ns(const struct opt_def *d, const char *value, bool negated)
{
	static const struct choice namespaces[] = { { "net", 1 }, { NULL } };

	opts.empty_ns_net = choose(d, value, namespaces) == 1;
	return opts.empty_ns_net ? 0 : -1;
}

static int parse_compress(const struct opt_def *d, const char *value, bool negated)
{
	static const struct choice methods[] = { { "lz4", 0 }, { "zstd", 1 }, { NULL } };

	if (choose(d, value, methods) < 0)
		return -1;
	free(opts.compress);
	return (opts.compress = xstrdup(value)) ? 0 : -1;
}

static int parse_close(const struct opt_def *d, const char *value, bool negated)
{
	char *end;
	long fd = strtol(value, &end, 10);

	if (!*value || *end || fd < 0 || close(fd)) {
		pr_err("--close: descriptor %s is not open", value);
		return -1;
	}
	return 0;
}

/* --cpu-cap=fpu,ins: which features must agree between the image and this CPU; a leading ^ takes one away */
static int parse_cpu_cap(const struct opt_def *d, const char *value, bool negated)
{
	static const struct choice caps[] = { { "none", 0 },
					      { "fpu", CPU_CAP_FPU },
					      { "cpu", CPU_CAP_CPU },
					      { "ins", CPU_CAP_INS },
					      { "image", CPU_CAP_IMAGE },
					      { "all", CPU_CAP_FPU | CPU_CAP_CPU | CPU_CAP_INS },
					      { NULL } };
	cleanup_free char *copy = xstrdup(value ?: "all");
	char *at = copy, *word;
	unsigned cap = 0;

	if (!copy)
		return -1;
	while ((word = strsep(&at, ","))) {
		int n = choose(d, word + (*word == '^'), caps);

		if (n < 0)
			return -1;
		cap = *word == '^' ? cap & ~n : cap | n;
	}
	opts.cpu_cap = cap;
	return 0;
}

/* clang-format off */
#define C_STORY	  (C_DUMP | C_PRE_DUMP | C_RESTORE)
#define C_ANY_DUMP (C_DUMP | C_PRE_DUMP)
#define C_WIRE	  (C_DUMP | C_PRE_DUMP | C_LAZY | C_SERVER)
#define C_BOTH	  (C_DUMP | C_RESTORE)

#define ROW(n, l, k, t, c, a, h, ...) { .name = n, .letter = l, .kind = k, .target = t, .cmds = c, .arg = a, .help = h, __VA_ARGS__ }
#define TITLE(text)                   ROW(NULL, 0, OPT_TITLE, NULL, 0, NULL, text)
#define FLAG(n, l, field, c, ...)     ROW(n, l, OPT_FLAG, &opts.field, c, NULL, __VA_ARGS__)
#define STR(n, l, field, c, ...)      ROW(n, l, OPT_STR, &opts.field, c, __VA_ARGS__)
#define LIST(n, l, field, c, ...)     ROW(n, l, OPT_LIST, &opts.field, c, __VA_ARGS__)
#define FD(n, field, c, ...)          ROW(n, 0, OPT_FD, &opts.field, c, "FD", __VA_ARGS__)
#define CALL(n, l, field, c, a, fn, ...) ROW(n, l, OPT_CALL, &opts.field, c, a, __VA_ARGS__, .parse = fn)
#define NUM(n, l, field, c, a, lo, hi, ...) ROW(n, l, OPT_NUM, &opts.field, c, a, __VA_ARGS__, .min = lo, .max = hi)
#define NOT(why)                      .not_yet = why

static const char no_cgroups[] = "tasks are restored into the cgroups of criu itself";
static const char no_lsm[] = "profiles of security modules are not restored";
static const char no_ns[] = "tasks in namespaces of their own are not restored yet";

const struct opt_def opt_table[] = {
	TITLE("Common"),
	STR("images-dir", 'D', images_dir, C_ALL, "DIR", "where the images are (default: the current directory)"),
	STR("work-dir", 'W', work_dir, C_ALL, "DIR", "where log, statistics, pidfile and lazy-pages.socket go (default: the images directory)"),
	STR("log-file", 'o', log_file, C_ALL, "FILE", "write the log there instead of to stderr"),
	CALL("verbosity", 'v', verbosity, C_ALL, "[N]", parse_verbosity, "-vN sets it, each -v adds one: 0 silent, 1 errors, 2 warnings (default), 3 info, 4 debug"),
	FLAG("log-pid", 0, log_pid, C_ALL, "write the pid in each line of the log"),
	FLAG("display-stats", 0, display_stats, C_STORY | C_LAZY, "print the statistics at the end"),
	STR("pidfile", 0, pidfile, C_RESTORE | C_LAZY | C_SERVER | C_SERVICE, "FILE", "write the pid there: of the root task (restore), of the daemon (others)"),
	LIST("action-script", 0, action_scripts, C_STORY | C_LAZY | C_SERVER, "FILE", "run it at the stages of the story, from the work directory; $CRTOOLS_SCRIPT_ACTION says which; may be given again"),
	ROW("config", 0, OPT_STR, &cli.config, C_ALL, "FILE", "read options from this file too"),
	ROW("no-default-config", 0, OPT_FLAG, &cli.no_default_config, C_ALL, NULL, "read neither /etc/criu/default.conf nor ~/.criu/default.conf"),
	FLAG("unprivileged", 0, unprivileged, C_ALL, "run with CAP_CHECKPOINT_RESTORE only", NOT("criu needs root")),
	ROW("close", 0, OPT_CALL, NULL, C_ALL, "FD", "close a descriptor that was inherited", .parse = parse_close),
	ROW("version", 'V', OPT_FLAG, &cli.version, C_ALL, NULL, "print the version"),
	ROW("help", 'h', OPT_FLAG, &cli.help, C_ALL, NULL, "print this text, or that of one command"),

	TITLE("Tasks"),
	NUM("tree", 't', pid, C_ANY_DUMP, "PID", 1, 0, "the root of the tree"),
	FLAG("leave-running", 'R', leave_running, C_DUMP, "let the tasks run on after the dump"),
	FLAG("leave-stopped", 's', leave_stopped, C_BOTH, "leave the tasks stopped after dump or restore"),
	FLAG("shell-job", 'j', shell_job, C_STORY, "the tree belongs to a session or a terminal outside of it"),
	FLAG("restore-detached", 'd', restore_detach, C_RESTORE | C_LAZY | C_SERVER | C_SERVICE, "end when the tasks run; else criu waits for the root task (servers: --daemon)"),
	FLAG("restore-sibling", 'S', restore_sibling, C_RESTORE, "make the root task a child of criu's parent"),
	ROW("exec-cmd", 0, OPT_FLAG, &cli.exec_cmd, C_RESTORE, NULL, "after a detached restore run what follows --"),
	NUM("timeout", 0, timeout_s, C_ANY_DUMP, "SECONDS", 0, 0, "give up freezing after this time (default 10)"),
	STR("freeze-cgroup", 0, freeze_cgroup, C_ANY_DUMP, "DIR", "freeze the tasks through this cgroup", NOT("tasks are stopped one by one with ptrace")),
	LIST("skip-mnt", 0, skip_mnt, C_DUMP, "PATH", "do not save this mount", NOT(no_ns)),
	LIST("enable-fs", 0, enable_fs, C_BOTH, "LIST", "filesystems to be treated as known", NOT(no_ns)),
	STR("root", 'r', root, C_RESTORE, "DIR", "restore into this root", NOT(no_ns)),
	LIST("join-ns", 'J', join_ns, C_RESTORE, "NS:PATH", "restore into an existing namespace", NOT(no_ns)),
	CALL("empty-ns", 0, empty_ns_net, C_BOTH, "net", parse_empty_ns, "neither save nor restore what is in the network namespace", NOT(no_ns)),
	LIST("external", 0, external, C_BOTH, "TYPE[ID]:NAME", "a resource that lives outside of the tree", NOT(no_ns)),
	LIST("inherit-fd", 0, inherit_fd, C_RESTORE, "fd[N]:RESOURCE", "use criu's descriptor N for this file of the tasks"),
	ROW("veth-pair", 0, OPT_LIST, &opts.external, C_RESTORE, "IN=OUT", "name of the outer end of a veth pair", NOT(no_ns)),

	TITLE("Memory"),
	FLAG("lazy-pages", 0, lazy_pages, C_DUMP | C_RESTORE | C_SERVER, "dump: keep the pages and serve them; restore: let lazy-pages bring them; page-server: serve images to lazy-pages"),
	FLAG("page-server", 0, page_server, C_DUMP | C_PRE_DUMP | C_LAZY, "send pages to (dump), fetch them from (lazy-pages) the server at --address and --port"),
	STR("address", 0, address, C_WIRE | C_SERVICE, "ADDRESS", "where to listen (default: every address) or to connect"),
	NUM("port", 0, port, C_WIRE, "PORT", 0, 65535, "the server's TCP port (0: the kernel picks, and it is printed)"),
	FD("ps-socket", ps_socket, C_WIRE, "use this connected socket as the page server's"),
	FD("status-fd", status_fd, C_DUMP | C_LAZY | C_SERVER | C_SERVICE, "write a zero byte there when ready to serve"),
	FLAG("daemon", 0, daemon_mode, C_LAZY | C_SERVER | C_SERVICE, "go to the background when ready"),
	STR("prev-images-dir", 0, prev_images_dir, C_ANY_DUMP | C_SERVER, "DIR", "images of the dump before this one, relative to the images directory"),
	FLAG("track-mem", 0, track_mem, C_ANY_DUMP | C_SERVER, "track which pages are written, for the next dump"),
	CALL("pre-dump-mode", 0, pre_dump_mode, C_PRE_DUMP, "MODE", parse_pre_dump_mode, "read (default): copy the memory while the tasks run; splice: put it into pipes while they stand still"),
	FLAG("auto-dedup", 0, auto_dedup, C_DUMP | C_PRE_DUMP | C_RESTORE | C_SERVER, "punch pages out of older images as soon as they are replaced or restored"),
	CALL("compress", 0, compress, C_LAZY, "lz4|zstd", parse_compress, "have the server compress the pages: for links that are slower than that"),
	STR("report", 0, report, C_LAZY, "FILE.html", "write a page with a picture of the migration, for a browser"),
	ROW("reconnect-timeout", 0, OPT_NUM, &opts.reconnect_timeout_s, C_LAZY, "SECONDS", "how long to try to reach the server again (default: 600)", .min = 1, .max = 1000000),
	FLAG("resume", 0, resume, C_LAZY, "go on with tasks that were stopped when their server was lost"),
	STR("spill", 0, spill, C_DUMP, "DIR", "with --lazy-pages: once the tasks run elsewhere, also write their pages there, for page-server to serve if this host dies"),

	TITLE("Files and network"),
	FLAG("ext-unix-sk", 'x', ext_unix_sk, C_BOTH, "allow UNIX sockets whose peer is outside of the tree", NOT("such sockets are refused")),
	FLAG("tcp-established", 0, tcp_established, C_BOTH, "save and restore established TCP connections"),
	FLAG("tcp-close", 0, tcp_close, C_BOTH, "established TCP connections are restored closed"),
	FLAG("skip-in-flight", 0, skip_in_flight, C_DUMP, "skip TCP connections that are not accepted yet"),
	CALL("network-lock", 0, network_lock, C_BOTH, "METHOD", parse_network_lock, "iptables (default), nftables or skip: how established connections are held still"),
	FLAG("file-locks", 'l', file_locks, C_BOTH, "save and restore file locks"),
	FLAG("link-remap", 0, link_remap, C_DUMP, "give unlinked files a temporary name"),
	ROW("ghost-limit", 0, OPT_SIZE, &opts.ghost_limit, C_BOTH, "SIZE", "largest unlinked file that is saved (default 1M)"),
	FLAG("force-irmap", 0, force_irmap, C_ANY_DUMP, "resolve names of inotify watches by search", NOT("watched files are found by their handle")),
	LIST("irmap-scan-path", 0, irmap_scan_paths, C_ANY_DUMP, "PATH", "where --force-irmap searches", NOT("watched files are found by their handle")),
	FLAG("evasive-devices", 0, evasive_devices, C_BOTH, "use any path to a device", NOT("devices are opened by the path that the task used")),
	CALL("file-validation", 0, file_validation_buildid, C_BOTH, "METHOD", parse_file_validation, "filesize (default) or buildid: how a changed file is noticed"),
	FLAG("skip-file-rwx-check", 0, skip_file_rwx_check, C_RESTORE, "do not compare the modes of files"),

	TITLE("Cgroups and security"),
	CALL("manage-cgroups", 0, manage_cgroups, C_BOTH, "[MODE]", parse_manage_cgroups, "only =ignore: cgroups are left alone"),
	LIST("cgroup-root", 0, cgroup_roots, C_BOTH, "CONTROLLER:PATH", "root of the tasks' cgroups", NOT(no_cgroups)),
	STR("cgroup-props", 0, cgroup_props, C_DUMP, "TEXT", "which properties of cgroups are saved", NOT(no_cgroups)),
	STR("cgroup-props-file", 0, cgroup_props_file, C_DUMP, "FILE", "the same from a file", NOT(no_cgroups)),
	LIST("cgroup-dump-controller", 0, cgroup_dump_controllers, C_DUMP, "NAME", "which controllers are saved", NOT(no_cgroups)),
	STR("cgroup-yard", 0, cgroup_yard, C_BOTH, "DIR", "where the cgroup hierarchies are mounted", NOT(no_cgroups)),
	STR("lsm-profile", 0, lsm_profile, C_RESTORE, "TYPE:NAME", "restore with this profile", NOT(no_lsm)),
	STR("lsm-mount-context", 0, lsm_mount_context, C_RESTORE, "CONTEXT", "mount with this context", NOT(no_lsm)),
	FLAG("weak-sysctls", 0, weak_sysctls, C_RESTORE, "skip sysctls that the kernel does not have", NOT(no_ns)),
	CALL("cpu-cap", 0, cpu_cap, C_BOTH | C_CPUINFO, "[LIST]", parse_cpu_cap, "which CPU features must be there: none, fpu, ins, cpu, image, all; ^ takes one away"),

	TITLE("TLS"),
	FLAG("tls", 0, tls, C_WIRE, "encrypt the connections; both sides show certificates and verify them"),
	STR("tls-cacert", 0, tls_cacert, C_WIRE, "FILE", "who may sign the certificates"),
	STR("tls-cacrl", 0, tls_cacrl, C_WIRE, "FILE", "certificates that were revoked"),
	STR("tls-cert", 0, tls_cert, C_WIRE, "FILE", "this side's certificate"),
	STR("tls-key", 0, tls_key, C_WIRE, "FILE", "and its key"),
	FLAG("tls-no-cn-verify", 0, tls_no_cn_verify, C_WIRE, "do not compare the name in the server's certificate with --address"),
	FLAG("tls-psk", 0, tls_psk, C_WIRE, "encrypt with a key that the server puts into the images directory"),

	TITLE("check"),
	ROW("feature", 0, OPT_LIST, &cli.features, C_CHECK, "NAME", "one feature of the kernel; list: all names"),
	ROW("all", 0, OPT_FLAG, &cli.check_all, C_CHECK, NULL, "everything, also what only some tasks need"),
	ROW("extra", 0, OPT_FLAG, &cli.check_extra, C_CHECK, NULL, "what some tasks need as well"),
	ROW("experimental", 0, OPT_FLAG, &cli.check_experimental, C_CHECK, NULL, "what is new as well"),
	{ .name = NULL },
};
/* clang-format on */
