// SPDX-License-Identifier: GPL-2.0-only
/* Options that all sockets have: socket(7). Message: sk_opts_entry. */
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "files/socket.h"
#include "util/log.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

/* Options that are one integer, and the field that keeps each. */
struct int_option {
	int option;
	const char *name;
	size_t has, field;
	bool is_bool;
	bool only_unix;
};
#define INT_OPTION(opt, f, b, u)                                                    \
	{                                                                           \
		.option = opt, .name = #opt, .has = offsetof(SkOptsEntry, has_##f), \
		.field = offsetof(SkOptsEntry, f), .is_bool = b, .only_unix = u     \
	}
static const struct int_option int_options[] = {
	INT_OPTION(SO_PRIORITY, so_priority, false, false),
	INT_OPTION(SO_RCVLOWAT, so_rcvlowat, false, false),
	INT_OPTION(SO_PASSCRED, so_passcred, true, true),
	INT_OPTION(SO_PASSSEC, so_passsec, true, true),
	INT_OPTION(SO_DONTROUTE, so_dontroute, true, false),
	INT_OPTION(SO_NO_CHECK, so_no_check, true, false),
	INT_OPTION(SO_REUSEADDR, reuseaddr, true, false),
	INT_OPTION(SO_REUSEPORT, so_reuseport, true, false),
	INT_OPTION(SO_BROADCAST, so_broadcast, true, false),
	INT_OPTION(SO_KEEPALIVE, so_keepalive, true, false),
	INT_OPTION(SO_OOBINLINE, so_oobinline, false, false),
};

int sockopt_get(const struct fd_probe *p, int level, int option, const char *option_name,
		int *value)
{
	socklen_t len = sizeof(*value);

	*value = 0;
	if (!getsockopt(p->lfd, level, option, value, &len))
		return 0;
	pr_perror("Can't get %s of %s", option_name, probe_name(p));
	return -1;
}

int sockopt_set(int fd, int level, int option, const char *option_name, int value, const char *what)
{
	if (!setsockopt(fd, level, option, &value, sizeof(value)))
		return 0;
	pr_perror("Can't set %s of %s to %d", option_name, what, value);
	return -1;
}

static int dump_int_options(const struct fd_probe *p, SkOptsEntry *e, bool is_unix)
{
	for (size_t i = 0; i < ARRAY_SIZE(int_options); i++) {
		const struct int_option *o = &int_options[i];
		int value;

		if (o->only_unix && !is_unix)
			continue;
		if (sockopt_get(p, SOL_SOCKET, o->option, o->name, &value))
			return -1;
		*(protobuf_c_boolean *)((char *)e + o->has) = true;
		if (o->is_bool)
			*(protobuf_c_boolean *)((char *)e + o->field) = value != 0;
		else
			*(uint32_t *)((char *)e + o->field) = value;
	}
	return 0;
}

/* A classic BPF filter, one word of the image per instruction. */
static int dump_filter(const struct fd_probe *p, SkOptsEntry *e)
{
	struct sock_filter *code;
	socklen_t len = 0;

	/* the length of a filter is in instructions */
	if (getsockopt(p->lfd, SOL_SOCKET, SO_GET_FILTER, NULL, &len)) {
		pr_perror("Can't get the filter of %s (an eBPF program?)", probe_name(p));
		return -1;
	}
	if (!len)
		return 0;
	code = xcalloc(len, sizeof(*code));
	e->so_filter = xcalloc(len, sizeof(*e->so_filter));
	if (!code || !e->so_filter || getsockopt(p->lfd, SOL_SOCKET, SO_GET_FILTER, code, &len)) {
		free(code);
		pr_perror("Can't get the filter of %s", probe_name(p));
		return -1;
	}
	e->n_so_filter = len;
	for (socklen_t i = 0; i < len; i++)
		e->so_filter[i] = (uint64_t)code[i].code << 48 | (uint64_t)code[i].jt << 40 |
				  (uint64_t)code[i].jf << 32 | code[i].k;
	free(code);
	return 0;
}

static int dump_timeouts(const struct fd_probe *p, SkOptsEntry *e)
{
	struct timeval snd, rcv;
	socklen_t len = sizeof(snd);

	if (getsockopt(p->lfd, SOL_SOCKET, SO_SNDTIMEO, &snd, &len) ||
	    getsockopt(p->lfd, SOL_SOCKET, SO_RCVTIMEO, &rcv, &len)) {
		pr_perror("Can't get the timeouts of %s", probe_name(p));
		return -1;
	}
	e->so_snd_tmo_sec = snd.tv_sec;
	e->so_snd_tmo_usec = snd.tv_usec;
	e->so_rcv_tmo_sec = rcv.tv_sec;
	e->so_rcv_tmo_usec = rcv.tv_usec;
	return 0;
}

/* Options that are only saved where they are set. */
static int dump_rare_options(const struct fd_probe *p, SkOptsEntry *e)
{
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);
	char dev[IFNAMSIZ] = "";
	int mark, lock;

	if (!getsockopt(p->lfd, SOL_SOCKET, SO_LINGER, &linger, &len) && linger.l_onoff) {
		e->has_so_linger = true;
		e->so_linger = linger.l_linger;
	}
	if (sockopt_get(p, SOL_SOCKET, SO_MARK, "SO_MARK", &mark))
		return -1;
	if (mark) {
		e->has_so_mark = true;
		e->so_mark = mark;
	}
	len = sizeof(dev);
	if (!getsockopt(p->lfd, SOL_SOCKET, SO_BINDTODEVICE, dev, &len) && len && dev[0])
		e->so_bound_dev = xstrdup(dev);
	len = sizeof(lock);
	if (!getsockopt(p->lfd, SOL_SOCKET, SO_BUF_LOCK, &lock, &len)) {
		e->has_so_buf_lock = true;
		e->so_buf_lock = lock;
	}
	return 0;
}

SkOptsEntry *sockopts_dump(struct op *op, const struct fd_probe *p, bool is_unix)
{
	SkOptsEntry *e = NEW_MSG(SkOptsEntry, sk_opts_entry);
	int snd, rcv;

	if (!e)
		return NULL;
	if (sockopt_get(p, SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF", &snd) ||
	    sockopt_get(p, SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF", &rcv) || dump_timeouts(p, e) ||
	    dump_int_options(p, e, is_unix) || dump_rare_options(p, e) || dump_filter(p, e) ||
	    sockopts_more_dump(&op->files->sock_defaults, p->lfd, e)) {
		sk_opts_entry__free_unpacked(e, NULL);
		return NULL;
	}
	e->so_sndbuf = snd;
	e->so_rcvbuf = rcv;
	return e;
}

/* ---- restore ---- */

/* The kernel doubles what is set; a value set by hand switches autotuning off, until SO_BUF_LOCK says otherwise. */
static int restore_buffers(int fd, const SkOptsEntry *e, const char *what)
{
	if (sockopt_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, "SO_SNDBUF", e->so_sndbuf / 2, what) ||
	    sockopt_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, "SO_RCVBUF", e->so_rcvbuf / 2, what))
		return -1;
	return e->has_so_buf_lock ? sockopt_set(fd, SOL_SOCKET, SO_BUF_LOCK, "SO_BUF_LOCK",
						e->so_buf_lock, what)
				  : 0;
}

static int restore_filter(int fd, const SkOptsEntry *e, const char *what)
{
	struct sock_fprog prog = { .len = e->n_so_filter };
	int ret;

	if (!e->n_so_filter)
		return 0;
	prog.filter = xcalloc(e->n_so_filter, sizeof(*prog.filter));
	if (!prog.filter)
		return -1;
	for (size_t i = 0; i < e->n_so_filter; i++)
		prog.filter[i] = (struct sock_filter){ .code = e->so_filter[i] >> 48,
						       .jt = e->so_filter[i] >> 40,
						       .jf = e->so_filter[i] >> 32,
						       .k = e->so_filter[i] };
	ret = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
	free(prog.filter);
	if (ret)
		pr_perror("Can't attach the filter of %s", what);
	return ret;
}

static int restore_timeouts(int fd, const SkOptsEntry *e, const char *what)
{
	struct timeval snd = { e->so_snd_tmo_sec, e->so_snd_tmo_usec },
		       rcv = { e->so_rcv_tmo_sec, e->so_rcv_tmo_usec };

	if (!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &snd, sizeof(snd)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &rcv, sizeof(rcv)))
		return 0;
	pr_perror("Can't set the timeouts of %s", what);
	return -1;
}

static int restore_int_options(int fd, const SkOptsEntry *e, const char *what)
{
	for (size_t i = 0; i < ARRAY_SIZE(int_options); i++) {
		const struct int_option *o = &int_options[i];
		const char *field = (const char *)e + o->field;
		int now = 0, value = o->is_bool ? *(const protobuf_c_boolean *)field
						: (int)*(const uint32_t *)field;
		socklen_t len = sizeof(now);

		if (!*(const protobuf_c_boolean *)((const char *)e + o->has))
			continue;
		/* not every family lets every option be set, also to what it is */
		if (!getsockopt(fd, SOL_SOCKET, o->option, &now, &len) && now == value)
			continue;
		if (sockopt_set(fd, SOL_SOCKET, o->option, o->name, value, what))
			return -1;
	}
	return 0;
}

int sockopts_restore(int fd, const SkOptsEntry *e, const char *what)
{
	struct linger linger = { 1, e->so_linger };

	if (restore_buffers(fd, e, what) || restore_timeouts(fd, e, what) ||
	    restore_int_options(fd, e, what) || restore_filter(fd, e, what))
		return -1;
	if (e->has_so_linger && setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))) {
		pr_perror("Can't set SO_LINGER of %s", what);
		return -1;
	}
	if (e->has_so_mark && sockopt_set(fd, SOL_SOCKET, SO_MARK, "SO_MARK", e->so_mark, what))
		return -1;
	if (e->so_bound_dev && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, e->so_bound_dev,
					  strlen(e->so_bound_dev) + 1)) {
		pr_perror("Can't bind %s to device %s", what, e->so_bound_dev);
		return -1;
	}
	return 0;
}

/* ---- what the kernel tells from outside ---- */

struct diag *sockets_diag(struct op *op, struct task *t)
{
	struct file_table *ft = op->files;
	cleanup_close int netns = -1;
	struct stat own, its;

	if (ft->diag && ft->diag_task == t)
		return ft->diag;
	if (task_proc(t) < 0 || stat("/proc/self/ns/net", &own) ||
	    fstatat(t->proc, "ns/net", &its, 0)) {
		pr_perror("Can't find the network namespace of task %d", t->vpid);
		return NULL;
	}
	ft->diag_task = t;
	if (ft->diag && ft->diag_ns == its.st_ino)
		return ft->diag;
	sockets_diag_free(op);
	if (own.st_ino != its.st_ino) {
		netns = openat(t->proc, "ns/net", O_RDONLY | O_CLOEXEC);
		if (netns < 0) {
			pr_perror("Can't open the network namespace of task %d", t->vpid);
			return NULL;
		}
	}
	ft->diag_ns = its.st_ino;
	return ft->diag = diag_new(netns);
}

void sockets_diag_free(struct op *op)
{
	diag_free(op->files->diag);
	op->files->diag = NULL;
}

bool socket_ns_id(const struct task *t, uint32_t *id)
{
	if (!t->ids || !t->ids->has_net_ns_id)
		return false;
	*id = t->ids->net_ns_id;
	return true;
}
