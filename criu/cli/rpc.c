// SPDX-License-Identifier: GPL-2.0-only
#include "cli/rpc.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cli/cli.h"
#include "op.h"
#include "stories.h"
#include "util/action.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/kernel.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define MAX_REQUEST (1 << 20)

/* The connection that is being served: notify() has no other way to it. */
static int sock = -1;
static pid_t peer;
static bool is_swrk;

static int send_resp(const CriuResp *r)
{
	size_t len = criu_resp__get_packed_size(r);
	cleanup_free uint8_t *buf = xmalloc(len + 1);

	if (!buf)
		return -1;
	criu_resp__pack(r, buf);
	if (send(sock, buf, len, MSG_NOSIGNAL) != (ssize_t)len) {
		pr_perror("RPC: can't answer the client");
		return -1;
	}
	return 0;
}

/* 1: a request; 0: the client is gone; -1: it sent something else, logged. */
static int recv_req(CriuReq **req)
{
	ssize_t len;
	cleanup_free uint8_t *buf = NULL;

	do
		len = recv(sock, NULL, 0, MSG_PEEK | MSG_TRUNC);
	while (len < 0 && errno == EINTR);
	if (len <= 0)
		return 0;
	if (len > MAX_REQUEST) {
		pr_err("RPC: a request of %zd bytes; at most %d are read", len, MAX_REQUEST);
		return -1;
	}
	buf = xmalloc(len);
	if (!buf || recv(sock, buf, len, 0) != len)
		return -1;
	*req = criu_req__unpack(NULL, len, buf);
	if (!*req) {
		pr_err("RPC: %zd bytes from the client are no criu_req", len);
		return -1;
	}
	return 1;
}

static int notify(const char *stage, pid_t init_pid)
{
	CriuNotify n = CRIU_NOTIFY__INIT;
	CriuResp r = CRIU_RESP__INIT;
	CriuReq *req;
	int ok;

	n.script = (char *)stage;
	n.has_pid = init_pid != 0;
	n.pid = init_pid;
	r.type = CRIU_REQ_TYPE__NOTIFY;
	r.success = true;
	r.notify = &n;
	if (send_resp(&r))
		return -1;
	if (recv_req(&req) <= 0) {
		pr_err("RPC: the client did not answer to %s", stage);
		return -1;
	}
	ok = req->type == CRIU_REQ_TYPE__NOTIFY && req->has_notify_success && req->notify_success;
	criu_req__free_unpacked(req, NULL);
	if (!ok)
		pr_err("RPC: the client refused at %s", stage);
	return ok ? 0 : -1;
}

/* Numbers of descriptors and the parent are the client's own: only a worker that it started itself has them too. */
static int check_inherits(const CriuOpts *o)
{
	const char *field = o->n_inherit_fd			   ? "inherit_fd"
			    : o->has_rst_sibling && o->rst_sibling ? "rst_sibling"
			    : o->ps && o->ps->has_fd		   ? "ps.fd"
								   : NULL;

	if (is_swrk || !field)
		return 0;
	pr_err("RPC: %s needs a criu that the client has started (criu swrk); this one is a "
	       "service",
	       field);
	return -1;
}

static int prepare(const CriuReq *req, const char *name)
{
	const struct command *c = command_find(name);

	if (!req->opts) {
		pr_err("RPC: a request for %s without opts", name);
		return -1;
	}
	cli.command = c;
	if (check_inherits(req->opts) || rpc_opts_apply(req->opts, c, peer) || dirs_open(c->dirs))
		return -1;
	if (req->opts->has_notify_scripts && req->opts->notify_scripts)
		action_set_notify(notify);
	return 0;
}

static bool do_dump(const CriuReq *req, CriuResp *resp)
{
	static CriuDumpResp d;

	if (prepare(req, "dump") || cli.command->run())
		return false;
	criu_dump_resp__init(&d);
	d.has_restored = true;
	resp->dump = &d;
	return true;
}

static bool do_pre_dump(const CriuReq *req, CriuResp *resp)
{
	return !prepare(req, "pre-dump") && !cli.command->run();
}

static bool do_restore(const CriuReq *req, CriuResp *resp)
{
	static CriuRestoreResp r;
	pid_t pid = 0;

	criu_restore_resp__init(&r);
	if (prepare(req, "restore") || restore_checked(&pid))
		return false;
	r.pid = pid;
	resp->restore = &r;
	return true;
}

static bool do_check(const CriuReq *req, CriuResp *resp)
{
	for (int f = 0; f < KERNEL_FEATURES; f++)
		if (kernel_features[f].need == NEED_ALWAYS && !kernel_has(f)) {
			pr_err("%s: this kernel lacks it, or does not permit it",
			       kernel_features[f].name);
			return false;
		}
	return true;
}

static bool do_features(const CriuReq *req, CriuResp *resp)
{
	static CriuFeatures f;

	criu_features__init(&f);
	if (!req->features) {
		pr_err("RPC: FEATURE_CHECK without features");
		return false;
	}
	f.has_mem_track = req->features->has_mem_track;
	f.mem_track = kernel_has(K_MEM_DIRTY_TRACK);
	f.has_lazy_pages = req->features->has_lazy_pages;
	f.lazy_pages = kernel_has(K_UFFD_NONCOOP);
	f.has_pidfd_store = req->features->has_pidfd_store;
	resp->features = &f;
	return true;
}

static bool do_version(const CriuReq *req, CriuResp *resp)
{
	static CriuVersion v;

	criu_version__init(&v);
	sscanf(CRIU_VERSION, "%d.%d", &v.major_number, &v.minor_number);
	resp->version = &v;
	return true;
}

static bool do_cpuinfo(const CriuReq *req, CriuResp *resp)
{
	if (prepare(req, "cpuinfo"))
		return false;
	return !(req->type == CRIU_REQ_TYPE__CPUINFO_DUMP ? cpuinfo_save() : cpuinfo_check());
}

static int ready_pipe[2];

static int tell_port(const char *stage, pid_t init_pid)
{
	return strcmp(stage, "status-ready")
		       ? 0
		       : write_full(ready_pipe[1], &opts.port, sizeof(opts.port));
}

/* The server is a child, which lives on when the request has been answered with its pid and port. */
static bool do_page_server(const CriuReq *req, CriuResp *resp)
{
	static CriuPageServerInfo info;
	cleanup_close int r = -1;
	pid_t pid;

	if (prepare(req, "page-server"))
		return false;
	opts.daemon_mode = false;
	if (pipe2(ready_pipe, O_CLOEXEC) || (pid = fork()) < 0) {
		pr_perror("RPC: can't start the page server");
		return false;
	}
	r = ready_pipe[0];
	if (!pid) {
		close(r);
		close(sock);
		action_set_notify(tell_port);
		if (cmd_page_server()) {
			const char *why = log_first_error() ?: "";
			int no_port = -1;

			if (write_full(ready_pipe[1], &no_port, sizeof(no_port)) ||
			    write_full(ready_pipe[1], why, strlen(why)))
				pr_debug("Nobody waits for this page server");
			_exit(1);
		}
		_exit(0);
	}
	close(ready_pipe[1]);
	criu_page_server_info__init(&info);
	if (read_full(r, &info.port, sizeof(info.port)) != sizeof(info.port) || info.port < 0) {
		char why[256] = "";

		if (read_full(r, why, sizeof(why) - 1) <= 0)
			strcpy(why, "it was killed");
		TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
		pr_err("RPC: the page server did not start: %s", why);
		return false;
	}
	info.has_port = info.has_pid = true;
	info.pid = pid;
	resp->ps = &info;
	return true;
}

static bool do_wait_pid(const CriuReq *req, CriuResp *resp)
{
	int status;

	if (waitpid(req->has_pid ? (pid_t)req->pid : -1, &status, 0) < 0) {
		pr_perror("RPC: can't wait for task %d", req->pid);
		return false;
	}
	resp->has_status = true;
	resp->status = status;
	return true;
}

static const struct request {
	CriuReqType type;
	bool (*run)(const CriuReq *req, CriuResp *resp);
} requests[] = {
	{ CRIU_REQ_TYPE__DUMP, do_dump },
	{ CRIU_REQ_TYPE__RESTORE, do_restore },
	{ CRIU_REQ_TYPE__CHECK, do_check },
	{ CRIU_REQ_TYPE__PRE_DUMP, do_pre_dump },
	{ CRIU_REQ_TYPE__SINGLE_PRE_DUMP, do_pre_dump },
	{ CRIU_REQ_TYPE__PAGE_SERVER, do_page_server },
	{ CRIU_REQ_TYPE__PAGE_SERVER_CHLD, do_page_server },
	{ CRIU_REQ_TYPE__WAIT_PID, do_wait_pid },
	{ CRIU_REQ_TYPE__CPUINFO_DUMP, do_cpuinfo },
	{ CRIU_REQ_TYPE__CPUINFO_CHECK, do_cpuinfo },
	{ CRIU_REQ_TYPE__FEATURE_CHECK, do_features },
	{ CRIU_REQ_TYPE__VERSION, do_version },
};

static int answer(const CriuReq *req)
{
	CriuResp resp = CRIU_RESP__INIT;
	char *why;

	resp.type = req->type;
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].type == req->type) {
			resp.success = requests[i].run(req, &resp);
			goto send;
		}
	pr_err("RPC: requests of type %d are not known", req->type);
	resp.type = CRIU_REQ_TYPE__EMPTY;
	resp.has_cr_errno = true;
	resp.cr_errno = EBADRQC;
send:
	action_set_notify(NULL);
	why = (char *)log_first_error();
	if (!resp.success && why)
		resp.cr_errmsg = why;
	return send_resp(&resp);
}

int rpc_serve(int fd, bool swrk)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	bool more = true, no_default_config = cli.no_default_config;
	char *config = cli.config;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len)) {
		pr_perror("RPC: can't tell who the client at descriptor %d is", fd);
		return 1;
	}
	sock = fd;
	peer = cred.pid;
	is_swrk = swrk;
	while (more) {
		CriuReq *req;
		int ret = recv_req(&req);

		if (ret <= 0)
			return ret ? 1 : 0;
		opts_init();
		cli.no_default_config = no_default_config;
		cli.config = config;
		log_forget_errors();
		/* a PRE_DUMP is followed by more of them and a DUMP; SINGLE_PRE_DUMP is not */
		more = (req->has_keep_open && req->keep_open) ||
		       req->type == CRIU_REQ_TYPE__PRE_DUMP;
		ret = answer(req);
		signals_release();
		criu_req__free_unpacked(req, NULL);
		if (ret)
			return 1;
	}
	return 0;
}
