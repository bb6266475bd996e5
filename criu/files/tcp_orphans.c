// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections of a restore that was killed when its tasks were already to run: they would run with sockets in repair mode, which neither send nor
 * receive. lazy-pages, which lets the tasks go in restore's place, does the same for their connections: away with the rules that hold them still, then out of
 * repair mode. The sockets are taken out of the tasks' tables; what they were like is in the images, and the kernel knows which are still in repair mode. So it can
 * be done again by whoever comes after one who died over it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files/inet.h"
#include "image/image.h"
#include "net/lock.h"
#include "util/io.h"
#include "util/log.h"

struct orphans {
	FileEntry **v; /* of the images: TCP sockets */
	size_t nr, cap;
	int root;	       /* the first task's pidfd */
	unsigned long root_id; /* and its pid in the images */
	bool unlocked;
	unsigned nr_done, nr_failed;
};

static bool is_tcp(const FileEntry *e)
{
	const InetSkEntry *k = e->isk;
	size_t words = k && k->family == AF_INET6 ? 4 : 1;

	return k && (k->family == AF_INET || k->family == AF_INET6) && k->type == SOCK_STREAM &&
	       k->proto == IPPROTO_TCP && k->n_src_addr == words && k->n_dst_addr == words;
}

static int read_entries(struct orphans *o, int images)
{
	cleanup_image struct image *img = image_open(images, IMG_FILES, 0, true);
	FileEntry *e;
	int ret = img ? 0 : -1;

	while (!ret && (ret = image_read_as(img, &e)) > 0) {
		if (!is_tcp(e)) {
			file_entry__free_unpacked(e, NULL);
			ret = 0;
			continue;
		}
		ret = xgrow(&o->v, &o->cap, o->nr, sizeof(*o->v));
		if (ret)
			file_entry__free_unpacked(e, NULL);
		else
			o->v[o->nr++] = e;
	}
	return ret;
}

/* The entry with the same two ends. */
static const InetSkEntry *entry_of(const struct orphans *o, int sock)
{
	struct sockaddr_in6 src = { 0 }, dst = { 0 }, a = { 0 };
	socklen_t src_len = sizeof(src), dst_len = sizeof(dst);

	if (getsockname(sock, (struct sockaddr *)&src, &src_len) ||
	    getpeername(sock, (struct sockaddr *)&dst, &dst_len))
		return NULL;
	/* a port and an address: the rest of the struct need not be the same */
	for (size_t i = 0; i < o->nr; i++) {
		const InetSkEntry *e = o->v[i]->isk;
		size_t at = e->family == AF_INET6 ? offsetof(struct sockaddr_in6, sin6_addr)
						  : offsetof(struct sockaddr_in, sin_addr);
		size_t len = e->family == AF_INET6 ? 16 : 4;

		if (src.sin6_family != e->family)
			continue;
		inet_source(e, &a);
		if (src.sin6_port != a.sin6_port || memcmp((char *)&src + at, (char *)&a + at, len))
			continue;
		inet_destination(e, &a);
		if (dst.sin6_port == a.sin6_port &&
		    !memcmp((char *)&dst + at, (char *)&a + at, len))
			return e;
	}
	return NULL;
}

/* In the tasks' network namespace, which a child enters. Before the first socket goes on: its first packet is to pass. */
static void unlock(struct orphans *o)
{
	cleanup_free struct connection *c = xcalloc(o->nr + 1, sizeof(*c));
	pid_t pid = c ? fork() : -1;

	o->unlocked = true;
	if (!pid) {
		if (setns(o->root, CLONE_NEWNET)) {
			pr_perror("Can't enter the network namespace of task %lu", o->root_id);
			_exit(1);
		}
		for (size_t i = 0; i < o->nr; i++) {
			InetSkEntry *e = o->v[i]->isk;

			c[i] = (struct connection){ e->family, e->src_addr, e->dst_addr,
						    e->src_port, e->dst_port };
		}
		network_unlock_any(c, o->nr, o->root_id);
		_exit(0);
	}
	if (pid < 0 || TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0)) != pid)
		pr_perror("Can't take the rules away that hold connections still");
}

static void let_go(struct orphans *o, int sock)
{
	const InetSkEntry *e;
	socklen_t len = sizeof(int);
	int in_repair = 0;

	if (getsockopt(sock, IPPROTO_TCP, TCP_REPAIR, &in_repair, &len) || !in_repair)
		return; /* another kind of socket, or let go already */
	if (!o->unlocked)
		unlock(o);
	e = entry_of(o, sock);
	if (e && !tcp_leave_repair(e, sock, true)) {
		o->nr_done++;
	} else {
		pr_perror("Can't let a TCP connection go on%s",
			  e ? "" : ", of which the images know nothing");
		o->nr_failed++;
	}
}

static pid_t pid_of(int pidfd)
{
	cleanup_free char *text = NULL;
	char path[48], *line;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	text = read_file_at(AT_FDCWD, path, NULL);
	line = text ? strstr(text, "\nPid:") : NULL;
	return line ? atoi(line + 5) : 0;
}

static void walk(struct orphans *o, int pidfd)
{
	cleanup_closedir DIR *d = NULL;
	pid_t pid = pid_of(pidfd);
	struct dirent *de;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = pid > 0 ? opendir(path) : NULL;
	if (!d) {
		if (pid >= 0) /* negative: it has ended */
			pr_warn("Can't see the connections of a task that restore did not let go");
		return;
	}
	while ((de = readdir(d))) {
		cleanup_free char *kind = readlink_at(dirfd(d), de->d_name);
		cleanup_close int sock = -1;

		if (!kind || strncmp(kind, "socket:", 7))
			continue;
		sock = syscall(SYS_pidfd_getfd, pidfd, atoi(de->d_name), 0);
		if (sock < 0)
			pr_perror("Can't take socket %s out of task %d", de->d_name, pid);
		else
			let_go(o, sock);
	}
}

void tcp_adopt_orphans(int images, unsigned long root_id, const int *pidfds, size_t nr)
{
	struct orphans o = { .root_id = root_id, .root = nr ? pidfds[0] : -1 };

	if (!read_entries(&o, images) && o.nr)
		for (size_t i = 0; i < nr; i++)
			walk(&o, pidfds[i]);
	if (o.nr_done)
		pr_warn("%u TCP connections, which restore had not let go, go on", o.nr_done);
	for (size_t i = 0; i < o.nr; i++)
		file_entry__free_unpacked(o.v[i], NULL);
	free(o.v);
}
