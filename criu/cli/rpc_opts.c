// SPDX-License-Identifier: GPL-2.0-only
/*
 * criu_opts as options. Most fields are called like their option, and are found by their descriptor; the others are in
 * the tables. A field without counterpart that asks for something is refused, not passed over.
 */
#include <fcntl.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/rpc.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define ORIGIN "RPC"

/* Fields whose option has another name; NULL: dealt with by hand below, or of no effect. */
static const struct alias {
	const char *field, *option;
} aliases[] = {
	{ "pid", "tree" },
	{ "log_level", "verbosity" },
	{ "parent_img", "prev-images-dir" },
	{ "rst_sibling", "restore-sibling" },
	{ "tcp_skip_in_flight", "skip-in-flight" },
	{ "irmap_scan_paths", "irmap-scan-path" },
	{ "images_dir_fd", NULL },
	{ "images_dir", NULL },
	{ "work_dir_fd", NULL },
	{ "log_file", NULL },
	{ "log_to_stderr", NULL },
	{ "ps", NULL },
	{ "notify_scripts", NULL },
	{ "config_file", NULL },
	{ "status_fd", NULL },
	{ "cpu_cap", NULL },
	{ "inherit_fd", NULL },
	{ "veths", NULL },
	{ "join_ns", NULL },
	{ "cg_root", NULL },
	{ "empty_ns", NULL },
	{ "manage_cgroups", NULL },
	{ "manage_cgroups_mode", NULL },
	{ "network_lock", NULL },
	{ "pre_dump_mode", NULL },
	/* about mounts and terminals of containers, which dump refuses when it meets them */
	{ "auto_ext_mnt", NULL },
	{ "ext_sharing", NULL },
	{ "ext_masters", NULL },
	{ "mntns_compat_mode", NULL },
	{ "orphan_pts_master", NULL },
};

static const struct alias *find_alias(const char *field)
{
	for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
		if (!strcmp(aliases[i].field, field))
			return &aliases[i];
	return NULL;
}

static int set_number(const char *option, long long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", n);
	return opts_set(option, text, ORIGIN);
}

static int set_flag(const char *option, bool on)
{
	cleanup_free char *name = xasprintf("%s%s", on ? "" : "no-", option);

	return name ? opts_set(name, NULL, ORIGIN) : -1;
}

static int set_scalar(const char *option, ProtobufCType type, const void *at)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return set_flag(option, *(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_STRING:
		return opts_set(option, *(char *const *)at, ORIGIN);
	case PROTOBUF_C_TYPE_INT32:
		return set_number(option, *(const int32_t *)at);
	case PROTOBUF_C_TYPE_UINT32:
		return set_number(option, *(const uint32_t *)at);
	default:
		pr_err("RPC: option %s has a type that is not known", option);
		return -1;
	}
}

/* Is there something in this field? */
static bool field_is_set(const CriuOpts *o, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)o;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(base + f->quantifier_offset) > 0;
	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)(base + f->offset) != NULL;
	if (f->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	return *(const protobuf_c_boolean *)(base + f->quantifier_offset);
}

static int set_field(const CriuOpts *o, const ProtobufCFieldDescriptor *f)
{
	const void *at = (const char *)o + f->offset;
	const struct alias *a = find_alias(f->name);
	char option[64];
	size_t nr;

	if (a && !a->option)
		return 0;
	snprintf(option, sizeof(option), "%s", a ? a->option : f->name);
	for (char *c = option; *c; c++)
		if (*c == '_')
			*c = '-';
	if (f->label != PROTOBUF_C_LABEL_REPEATED && f->type != PROTOBUF_C_TYPE_MESSAGE)
		return set_scalar(option, f->type, at);
	if (f->type != PROTOBUF_C_TYPE_STRING || !strcmp(f->name, "exec_cmd")) {
		pr_err("RPC: the field %s of criu_opts is not supported", f->name);
		return -1;
	}
	nr = *(const size_t *)((const char *)o + f->quantifier_offset);
	for (size_t i = 0; i < nr; i++)
		if (opts_set(option, (*(char **const *)at)[i], ORIGIN))
			return -1;
	return 0;
}

static int set_pair(const char *option, const char *fmt, const char *a, const char *b)
{
	cleanup_free char *text = xasprintf(fmt, a, b);

	return text ? opts_set(option, text, ORIGIN) : -1;
}

static int set_lists(const CriuOpts *o)
{
	for (size_t i = 0; i < o->n_inherit_fd; i++) {
		char fd[32];

		snprintf(fd, sizeof(fd), "fd[%d]", o->inherit_fd[i]->fd);
		if (set_pair("inherit-fd", "%s:%s", fd, o->inherit_fd[i]->key))
			return -1;
	}
	for (size_t i = 0; i < o->n_veths; i++)
		if (set_pair("veth-pair", "%s=%s", o->veths[i]->if_in, o->veths[i]->if_out))
			return -1;
	for (size_t i = 0; i < o->n_join_ns; i++)
		if (set_pair("join-ns", "%s:%s", o->join_ns[i]->ns, o->join_ns[i]->ns_file))
			return -1;
	for (size_t i = 0; i < o->n_cg_root; i++)
		if (set_pair("cgroup-root", "%s%s", o->cg_root[i]->ctrl ?: "", o->cg_root[i]->path))
			return -1;
	return 0;
}

static int set_modes(const CriuOpts *o)
{
	static const char *const cgroups[] = {
		"ignore", "none", "props", "soft", "full", "strict"
	};
	static const char *const locks[] = { NULL, "iptables", "nftables", "skip" };
	unsigned mode = o->has_manage_cgroups && o->manage_cgroups ? CRIU_CG_MODE__SOFT
								   : CRIU_CG_MODE__IGNORE;

	/* the mode says it all, also without the switch, which is older; DEFAULT and what is newer than us are no ignore */
	if (o->has_manage_cgroups_mode)
		mode = o->manage_cgroups_mode;
	if ((o->has_manage_cgroups || o->has_manage_cgroups_mode) &&
	    opts_set("manage-cgroups", mode < ARRAY_SIZE(cgroups) ? cgroups[mode] : "soft", ORIGIN))
		return -1;
	if (o->has_network_lock) {
		unsigned lock = o->network_lock;

		if (!lock || lock >= ARRAY_SIZE(locks)) {
			pr_err("RPC: network_lock %u is not known", lock);
			return -1;
		}
		if (opts_set("network-lock", locks[lock], ORIGIN))
			return -1;
	}
	if (o->has_pre_dump_mode &&
	    opts_set("pre-dump-mode",
		     o->pre_dump_mode == CRIU_PRE_DUMP_MODE__VM_READ ? "read" : "splice", ORIGIN))
		return -1;
	if (o->has_empty_ns && o->empty_ns && opts_set("empty-ns", "net", ORIGIN))
		return -1;
	if (o->has_cpu_cap && o->cpu_cap != UINT32_MAX)
		opts.cpu_cap = o->cpu_cap;
	return 0;
}

/* A descriptor of the client, as one of ours. */
static int take_fd(pid_t peer, int fd, const char *what)
{
	cleanup_free char *path = xasprintf("/proc/%d/fd/%d", peer, fd);
	int own = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (own < 0 && path)
		own = open(path, O_WRONLY | O_CLOEXEC);
	if (own < 0)
		pr_perror("RPC: can't open the client's descriptor %d (%s)", fd, what);
	return own;
}

static int set_places(const CriuOpts *o, pid_t peer)
{
	if (o->images_dir_fd >= 0)
		opts.images_dir = xasprintf("/proc/%d/fd/%d", peer, o->images_dir_fd);
	else if (o->images_dir)
		opts.images_dir = xstrdup(o->images_dir);
	if (!opts.images_dir) {
		pr_err("RPC: criu_opts has neither images_dir_fd nor images_dir");
		return -1;
	}
	if (o->has_work_dir_fd && o->work_dir_fd >= 0)
		opts.work_dir = xasprintf("/proc/%d/fd/%d", peer, o->work_dir_fd);
	if (o->log_file && strchr(o->log_file, '/')) {
		pr_err("RPC: log_file is a name in the work directory, not a path: %s",
		       o->log_file);
		return -1;
	}
	if (o->has_log_to_stderr && o->log_to_stderr)
		opts.log_file = NULL;
	else if (o->log_file || !opts.log_file)
		opts.log_file = xstrdup(o->log_file ?: "criu.log");
	if (o->has_status_fd) {
		opts.status_fd = take_fd(peer, o->status_fd, "status_fd");
		if (opts.status_fd < 0)
			return -1;
	}
	return 0;
}

static int set_page_server(const CriuPageServerInfo *ps, const struct command *c)
{
	if (!ps)
		return 0;
	/* for the command page-server this is where to listen; lazy pages of a dump are served there, not sent */
	opts.page_server = c->bit != C_SERVER && !opts.lazy_pages;
	if (ps->address && opts_set("address", ps->address, ORIGIN))
		return -1;
	if (ps->has_port && set_number("port", ps->port))
		return -1;
	return ps->has_fd ? set_number("ps-socket", ps->fd) : 0;
}

int rpc_opts_apply(const CriuOpts *o, const struct command *c, pid_t peer)
{
	const ProtobufCMessageDescriptor *d = o->base.descriptor;

	if (opts_read_configs())
		return -1;
	for (unsigned i = 0; i < d->n_fields; i++)
		if (field_is_set(o, &d->fields[i]) && set_field(o, &d->fields[i]))
			return -1;
	if (set_lists(o) || set_modes(o) || set_places(o, peer) || set_page_server(o->ps, c))
		return -1;
	/* what the administrator wrote into the file goes before what the engine asks for */
	if (o->config_file && config_read(o->config_file, true))
		return -1;
	opts.restore_detach = true;
	return opts_check(c);
}
