// SPDX-License-Identifier: GPL-2.0-only
#include "lazy/serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inventory.h"
#include "lazy/ready.h"
#include "lazy/server.h"
#include "lazy/spill.h"
#include "op.h"
#include "remote/freeze.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define MAX_CLIENTS	32
#define ACCEPT_PAUSE_US 100000

/* ---- sources ---- */

static int add_source(struct server *sv, uint64_t dst_id, struct pagemap *pm, pid_t pid, bool owned)
{
	struct stored *st = xzalloc(sizeof(*st));

	if (!st || source_init(&st->source, dst_id, pm, pid)) {
		free(st);
		if (owned)
			pagemap_close(pm);
		return -1;
	}
	st->owned = owned ? pm : NULL;
	TAILQ_INSERT_TAIL(&sv->sources, st, link);
	return 0;
}

static struct stored *find_source(struct server *sv, uint64_t dst_id)
{
	struct stored *st;

	TAILQ_FOREACH (st, &sv->sources, link)
		if (st->source.dst_id == dst_id)
			return st;
	return NULL;
}

static void open_source(struct server *sv, uint64_t dst_id)
{
	unsigned type = dst_id & 0xff;
	struct pagemap *pm;

	if (dst_id >> 8 > UINT32_MAX || (type != PS_TYPE_TASK && type != PS_TYPE_SHMEM))
		return;
	pm = pagemap_open(dirs.images, type == PS_TYPE_TASK ? IMG_PAGEMAP : IMG_SHMEM_PAGEMAP,
			  dst_id >> 8);
	if (pm)
		add_source(sv, dst_id, pm, 0, true);
}

struct page_source *server_source(struct server *sv, uint64_t dst_id)
{
	struct stored *st;

	pthread_mutex_lock(&sv->lock);
	st = find_source(sv, dst_id);
	if (!st && sv->images) {
		open_source(sv, dst_id);
		st = find_source(sv, dst_id);
	}
	pthread_mutex_unlock(&sv->lock);
	return st ? &st->source : NULL;
}

/* ---- what happened, for the main thread ---- */

void server_wake(struct server *sv)
{
	uint64_t one = 1;

	if (TEMP_FAILURE_RETRY(write(sv->wake, &one, sizeof(one))) < 0)
		pr_perror("Can't wake the main thread");
}

void server_tell(struct server *sv, bool *what)
{
	pthread_mutex_lock(&sv->lock);
	*what = true;
	pthread_mutex_unlock(&sv->lock);
	server_wake(sv);
}

/* ---- threads ---- */

static void *client_thread(void *arg)
{
	struct client *cl = arg;
	struct server *sv = cl->server;
	int ret = serve_client(cl);

	if (cl->session)
		session_put(sv, cl->session);
	shutdown(cl->c.fd, SHUT_RDWR);
	free(cl->buf);
	if (ret < 0 && !cl->c.quiet && (cl->session || cl->used))
		server_tell(sv, &sv->lost);
	server_tell(sv, &cl->ended);
	return NULL;
}

/* Only the main thread changes the list, but others read it. */
static void forget_client(struct server *sv, struct client *cl)
{
	pthread_mutex_lock(&sv->lock);
	TAILQ_REMOVE(&sv->clients, cl, link);
	sv->nr_clients--;
	pthread_mutex_unlock(&sv->lock);
}

/* Takes C over where it succeeds. */
static int new_client(struct server *sv, struct conn *c)
{
	struct client *cl = xzalloc(sizeof(*cl));

	if (cl)
		cl->buf = aligned_alloc(PAGE_SIZE, CLIENT_BUF);
	if (!cl || !cl->buf)
		goto fail;
	cl->server = sv;
	cl->c = *c;
	cl->last_us = now_us();
	pthread_mutex_lock(&sv->lock);
	TAILQ_INSERT_TAIL(&sv->clients, cl, link);
	sv->nr_clients++;
	pthread_mutex_unlock(&sv->lock);
	if (!pthread_create(&cl->thread, NULL, client_thread, cl)) {
		*c = (struct conn)CONN_INIT;
		return 0;
	}
	forget_client(sv, cl);
fail:
	pr_err("Out of memory for a connection from %s", c->peer);
	if (cl)
		free(cl->buf);
	free(cl);
	conn_close(c);
	return -1;
}

/* Joins threads that ended; ALL: closes the connections of the others and waits for them. */
static void reap(struct server *sv, bool all)
{
	struct client *cl, *next;

	for (cl = TAILQ_FIRST(&sv->clients); cl; cl = next) {
		bool ended;

		next = TAILQ_NEXT(cl, link);
		pthread_mutex_lock(&sv->lock);
		ended = cl->ended;
		pthread_mutex_unlock(&sv->lock);
		if (!ended && !all)
			continue;
		if (!ended)
			shutdown(cl->c.fd, SHUT_RDWR);
		pthread_join(cl->thread, NULL);
		forget_client(sv, cl);
		conn_close(&cl->c);
		free(cl);
	}
}

/*
 * There are as many clients as there may be: whoever has said nothing, then whoever has not been given pages goes, the oldest first. Those with pages stay.
 */
static bool make_room(struct server *sv)
{
	struct client *cl, *victim = NULL;

	TAILQ_FOREACH (cl, &sv->clients, link) {
		if (cl->used || cl->c.quiet)
			continue;
		if (!victim || cl->spoke < victim->spoke ||
		    (cl->spoke == victim->spoke && cl->last_us < victim->last_us))
			victim = cl;
	}
	if (!victim)
		return false;
	victim->c.quiet = true;
	pr_warn("%s is let go: there are too many connections, and it has not been given pages",
		victim->c.peer);
	shutdown(victim->c.fd, SHUT_RDWR); /* its thread ends by it */
	return true;
}

static void admit(struct server *sv, int listener)
{
	struct conn c = CONN_INIT;
	int ret = conn_accept(&c, listener, 0);

	/* no descriptor is free, say: who waits there would be tried again at once */
	if (ret < 0)
		usleep(ACCEPT_PAUSE_US);
	if (ret)
		return;
	if (sv->nr_clients < MAX_CLIENTS || (sv->nr_clients < 2 * MAX_CLIENTS && make_room(sv))) {
		if (SERVE_STAGE("accept", new_client(sv, &c)))
			conn_close(&c);
		return;
	}
	pr_warn("%s is turned away: there are too many connections", c.peer);
	conn_close(&c);
}

/* ---- the main thread ---- */

/* The main thread, which is the tasks' tracer, answers a client that asked for the commit. */
static void decide(struct server *sv)
{
	if (!sv->commit_asked || sv->committed)
		return;
	if (sv->op)
		tasks_belong_elsewhere(sv->op);
	sv->committed = true;
	pthread_cond_broadcast(&sv->decided);
}

/* 1: keep on, 0: complete, -1: over, logged */
static int verdict(struct server *sv)
{
	decide(sv);
	if (sv->complete)
		return 0;
	if (sv->failed)
		return -1;
	if (sv->committed || sv->plain_used)
		spill_start(sv);
	if (sv->interrupted && spill_state() != SPILL_RUNS) {
		pr_err("Ended by a signal: the destination still lacks pages");
		return -1;
	}
	if (sv->lost && !sv->committed && !sv->images) {
		pr_err("The destination went away before its tasks ran");
		return -1;
	}
	if (sv->lost)
		pr_warn("The destination went away: waiting for it to come back");
	sv->lost = false;
	return 1;
}

static int on_signal(struct server *sv, int fd)
{
	struct signalfd_siginfo si;

	if (read(fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	if (spill_state() == SPILL_RUNS && !sv->interrupted) {
		pr_warn("%s: ending when all pages are in %s. Once more: at once",
			strsignal(si.ssi_signo), opts.spill);
		sv->interrupted = true;
		return 0;
	}
	pr_err("Ended by a signal (%s)%s", strsignal(si.ssi_signo),
	       sv->committed ? ": the destination still lacks pages" : "");
	return -1;
}

static int serve(struct server *sv, int listener, struct conn *given)
{
	cleanup_close int signals = server_signals();
	int ret = 1;

	if (signals < 0 || (given->fd >= 0 && new_client(sv, given)))
		return -1;
	while (ret > 0) {
		struct pollfd p[] = { { .fd = sv->wake, .events = POLLIN },
				      { .fd = signals, .events = POLLIN },
				      { .fd = listener, .events = POLLIN } };
		uint64_t n;

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR) {
			pr_perror("poll");
			return -1;
		}
		if (p[1].revents && on_signal(sv, signals))
			return -1;
		if (p[2].revents)
			admit(sv, listener);
		if (p[0].revents && read(sv->wake, &n, sizeof(n)) > 0) {
			reap(sv, false);
			pthread_mutex_lock(&sv->lock);
			ret = verdict(sv);
			pthread_mutex_unlock(&sv->lock);
		}
	}
	return ret;
}

int server_init(struct server *sv, bool images)
{
	*sv = (struct server){ .images = images, .run = inventory_run(dirs.images) };
	TAILQ_INIT(&sv->sources);
	TAILQ_INIT(&sv->sessions);
	TAILQ_INIT(&sv->clients);
	fair_mutex(&sv->lock);
	pthread_cond_init(&sv->decided, NULL);
	sv->wake = eventfd(0, EFD_CLOEXEC);
	if (sv->wake >= 0)
		return 0;
	pr_perror("Can't make an eventfd");
	return -1;
}

void server_end(struct server *sv)
{
	struct stored *st;

	pthread_mutex_lock(&sv->lock);
	sv->ending = true;
	pthread_cond_broadcast(&sv->decided);
	pthread_mutex_unlock(&sv->lock);
	reap(sv, true);
	while ((st = TAILQ_FIRST(&sv->sources))) {
		TAILQ_REMOVE(&sv->sources, st, link);
		source_end(&st->source);
		pagemap_close(st->owned);
		free(st);
	}
	close_safe(&sv->wake);
	pthread_cond_destroy(&sv->decided);
	pthread_mutex_destroy(&sv->lock);
}

static int the_listener = -1;

int lazy_server_listen(void)
{
	tls_forget();
	if (tls_prepare(TLS_SERVER, dirs.images))
		return -1;
	if (opts.ps_socket >= 0)
		return 0;
	the_listener = SERVE_STAGE("listen", conn_listen(opts.address, &opts.port));
	return the_listener < 0 ? -1 : 0;
}

void lazy_server_unlisten(void)
{
	close_safe(&the_listener);
}

/* Pagemaps are opened as they are asked for, so they may still come. */
static void warn_of_nothing(void)
{
	int fd = openat(dirs.images, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	while (d && (de = readdir(d)))
		if (!strncmp(de->d_name, "pagemap-", 8))
			return;
	pr_warn("There is no pagemap-*.img in the images directory: nothing to serve (is -D "
		"right?)");
}

int serve_images(void)
{
	struct conn given = CONN_INIT;
	struct server sv;
	int ret;

	tls_key_use_found(dirs.images);
	if (spill_check(dirs.images) || tls_key_ensure(dirs.images) || lazy_server_listen())
		return -1;
	if (opts.ps_socket >= 0 && conn_from_fd(&given, opts.ps_socket))
		return -1;
	warn_of_nothing();
	if (server_daemonize() || server_init(&sv, true))
		return -1;
	ret = SERVE_STAGE("ready", server_ready()) ? -1 : serve(&sv, the_listener, &given);
	server_end(&sv);
	close_safe(&the_listener);
	return ret;
}

int lazy_serve_tasks(struct op *op, struct lazy_source *sources, unsigned nr,
		     struct lazy_outcome *out)
{
	struct conn given = CONN_INIT;
	struct server sv;
	int ret = 0;

	*out = (struct lazy_outcome){};
	server_outlives_oom();
	if (opts.ps_socket >= 0 && conn_from_fd(&given, opts.ps_socket))
		return -1;
	if (server_init(&sv, false))
		return -1;
	sv.op = op;
	for (unsigned i = 0; i < nr && !ret; i++)
		ret = add_source(&sv, ps_id(PS_TYPE_TASK, sources[i].vpid), sources[i].pm,
				 sources[i].pid, false);
	if (!ret)
		ret = SERVE_STAGE("ready", status_ready()) ? -1 : serve(&sv, the_listener, &given);
	spill_end(sv.complete);
	server_end(&sv);
	close_safe(&the_listener);
	out->complete = sv.complete;
	out->committed = sv.committed || sv.complete || sv.plain_used;
	return ret;
}
