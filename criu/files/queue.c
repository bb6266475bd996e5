// SPDX-License-Identifier: GPL-2.0-only
/*
 * What waits in UNIX sockets to be received. It is read with MSG_PEEK at a moving SO_PEEK_OFF, which leaves it there.
 * Image: sk-queues.img, one sk_packet_entry with its bytes per packet. Descriptors that travel in a packet (SCM_RIGHTS)
 * are saved like those of tasks, under ids of files.img.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files/socket.h"
#include "sk-packet.pb-c.h"
#include "util/log.h"

#define MAX_PACKET   (4U << 20)
#define MAX_RIGHTS   253
#define STREAM_PIECE (64U << 10)

struct packet {
	uint32_t id_for, len;
	size_t nth; /* in the image */
	char *data;
	uint32_t *rights;
	size_t nr_rights;
};

struct sk_queues {
	struct image *img; /* dump */
	struct task self;  /* dump: criu, as the holder of descriptors that were in flight */
	struct packet *v;  /* restore: by socket, then in the order of the image */
	size_t nr, cap;
};

static struct sk_queues *queues(struct op *op)
{
	struct sk_queues *q = op->files->queues;

	if (!q) {
		q = op->files->queues = xzalloc(sizeof(*q));
		if (q)
			q->self.pidfd = q->self.proc = -1;
	}
	return q;
}

/* ---- dump ---- */

/* Files ids of the descriptors that C carries; they stay open, since other descriptions are compared with them. */
static int dump_rights(struct op *op, const struct fd_probe *p, const struct cmsghdr *c,
		       ScmEntry *scm)
{
	struct sk_queues *q = queues(op);
	size_t nr = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	if (!q->self.pid)
		q->self = (struct task){ .pid = getpid(),
					 .vpid = getpid(),
					 .state = TASK_ALIVE,
					 .pidfd = -1,
					 .proc = -1,
					 .ids = p->task->ids };
	scm->type = SCM_RIGHTS;
	scm->rights = xcalloc(nr, sizeof(*scm->rights));
	if (!scm->rights)
		return -1;
	for (size_t i = 0; i < nr; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (files_dump_own(op, &q->self, fd, &scm->rights[i])) {
			pr_err("%s: a descriptor in flight cannot be saved", probe_name(p));
			return -1;
		}
		scm->n_rights++;
	}
	return 0;
}

static int write_packet(struct op *op, uint32_t id, const char *data, size_t len, ScmEntry *scm)
{
	SkPacketEntry e = SK_PACKET_ENTRY__INIT;
	struct sk_queues *q = queues(op);

	if (!q->img)
		q->img = image_create(op->images, IMG_SK_QUEUES, 0);
	if (!q->img)
		return -1;
	e.id_for = id;
	e.length = len;
	e.scm = &scm;
	e.n_scm = scm->n_rights ? 1 : 0;
	return image_write(q->img, &e.base) || image_write_raw(q->img, data, len) ? -1 : 0;
}

/*
 * Who sent a packet is seen by a receiver with SO_PASSCRED. Images have no place for it: restore is the sender, so what came from somebody else would come
 * from root.
 */
static int check_sender(const struct fd_probe *p, const struct cmsghdr *c)
{
	struct ucred cred;

	if (c->cmsg_len < CMSG_LEN(sizeof(cred)))
		return 0;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	if (!cred.uid)
		return 0;
	pr_err("%s: a message of user %u waits in it, and the receiver asks who the sender is "
	       "(SO_PASSCRED): not supported until it has been read",
	       probe_name(p), cred.uid);
	return -1;
}

/* A byte out of band (MSG_OOB) would come back in its band. */
static int refuse_oob(const struct fd_probe *p)
{
	char c;

	if (recv(p->lfd, &c, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) != 1)
		return 0;
	pr_err("%s: a byte out of band waits in it (MSG_OOB): not supported until it has been read",
	       probe_name(p));
	return -1;
}

/* One packet, or one piece of a stream. 1: there was one, 0: no more, -1: logged. */
static int dump_packet(struct op *op, const struct fd_probe *p, struct file *f, char *buf,
		       size_t room, bool stream, bool end_is_zero)
{
	char control[CMSG_SPACE(MAX_RIGHTS * sizeof(int)) + 256] __attribute__((aligned(8)));
	struct iovec iov = { buf, room };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ScmEntry scm = SCM_ENTRY__INIT;
	ssize_t n = recvmsg(p->lfd, &msg,
			    MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC | (stream ? 0 : MSG_TRUNC));
	int ret = 0;

	if (n < 0 && (errno == EAGAIN || errno == ECONNRESET))
		return 0;
	if (n < 0 || n > (ssize_t)room) {
		pr_perror("Can't look at what waits in %s", probe_name(p));
		return -1;
	}
	/* the end of what a stream holds, or of a socket that was shut down: then 0 is no empty packet */
	if (!n && end_is_zero)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c && !ret; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			ret = dump_rights(op, p, c, &scm);
		else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			ret = check_sender(p, c);
	ret = ret ?: write_packet(op, f->id, buf, n, &scm);
	free(scm.rights);
	return ret ? -1 : 1;
}

int queue_dump(struct op *op, const struct fd_probe *p, struct file *f, bool stream)
{
	size_t room = stream ? STREAM_PIECE : MAX_PACKET;
	int bytes = 0, before, ret, off = 0;
	cleanup_free char *buf = NULL;
	struct sk_queues *q = queues(op);

	/* SIOCINQ of a datagram socket is the first packet's size: 0 also for an empty packet */
	if (!q || (stream && !ioctl(p->lfd, FIONREAD, &bytes) && !bytes))
		return q ? 0 : -1;
	if (stream && refuse_oob(p))
		return -1;
	buf = xmalloc(room);
	if (!buf || sockopt_get(p, SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF", &before) ||
	    sockopt_set(p->lfd, SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF", off, p->link))
		return -1;
	do
		ret = dump_packet(op, p, f, buf, room, stream, stream || f->entry->usk->shutdown);
	while (ret > 0);
	if (sockopt_set(p->lfd, SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF", before, p->link))
		return -1;
	return ret;
}

int queues_dump_all(struct op *op)
{
	struct sk_queues *q = op->files->queues;
	struct image *img = q ? q->img : NULL;

	if (q)
		q->img = NULL;
	return image_close(img);
}

/* ---- restore ---- */

static int collect_packet(struct op *op, struct image *img, const SkPacketEntry *e)
{
	struct sk_queues *q = op->files->queues;
	struct file *f = file_by_id(op, e->id_for);
	struct packet *k;

	if (!f || !f->entry->usk || e->length > image_bytes_left(img)) {
		pr_err("%s: %u bytes for file %u, which is no UNIX socket, or they are missing",
		       image_name(img), e->length, e->id_for);
		return -1;
	}
	if (xgrow(&q->v, &q->cap, q->nr, sizeof(*q->v)))
		return -1;
	k = &q->v[q->nr++];
	*k = (struct packet){ .id_for = e->id_for, .len = e->length, .nth = q->nr };
	k->data = xmalloc(e->length + 1);
	for (size_t i = 0; i < e->n_scm; i++) {
		if (e->scm[i]->type != SCM_RIGHTS || k->rights ||
		    e->scm[i]->n_rights > MAX_RIGHTS) {
			pr_err("%s: control messages of type %u are not supported", image_name(img),
			       e->scm[i]->type);
			return -1;
		}
		k->nr_rights = e->scm[i]->n_rights;
		k->rights = xcalloc(k->nr_rights, sizeof(*k->rights));
		if (!k->rights)
			return -1;
		memcpy(k->rights, e->scm[i]->rights, k->nr_rights * sizeof(*k->rights));
	}
	for (size_t i = 0; i < k->nr_rights; i++) {
		struct file *r = file_by_id(op, k->rights[i]);

		if (!r || !r->kind || !r->kind->open) {
			pr_err("%s: file %u in flight is not there", image_name(img), k->rights[i]);
			return -1;
		}
		r->used = true;
	}
	return k->data ? image_read_raw(img, k->data, k->len) : -1;
}

static int order_packets(const void *a, const void *b)
{
	const struct packet *x = a, *y = b;

	if (x->id_for != y->id_for)
		return x->id_for < y->id_for ? -1 : 1;
	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

int queues_collect(struct op *op)
{
	struct image *img = image_open(op->images, IMG_SK_QUEUES, 0, false);
	struct sk_queues *q = queues(op);
	SkPacketEntry *e;
	int ret = 0;

	if (!q || !img)
		return q && errno == ENOENT ? 0 : -1;
	while (!ret && (ret = image_read_as(img, &e)) > 0) {
		ret = collect_packet(op, img, e);
		sk_packet_entry__free_unpacked(e, NULL);
	}
	image_close(img);
	if (q->nr)
		qsort(q->v, q->nr, sizeof(*q->v), order_packets);
	return ret;
}

/* The first packet of socket ID, or one past the last packet of all. */
static size_t first_packet(const struct sk_queues *q, uint32_t id)
{
	size_t low = 0, high = q->nr;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (q->v[mid].id_for < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool queue_has(struct op *op, uint32_t id)
{
	struct sk_queues *q = op->files->queues;
	size_t i = q ? first_packet(q, id) : 0;

	return q && i < q->nr && q->v[i].id_for == id;
}

static int send_packet(struct op *op, const struct packet *k, int fd)
{
	char control[CMSG_SPACE(MAX_RIGHTS * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { k->data, k->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (k->nr_rights) {
		memset(control, 0, sizeof(control));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(k->nr_rights * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(k->nr_rights * sizeof(int));
		for (size_t i = 0; i < k->nr_rights; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &file_by_id(op, k->rights[i])->fd,
			       sizeof(int));
	}
	n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)k->len)
		return 0;
	pr_err("Can't put %u bytes back into the queue of UNIX socket %u: %s", k->len, k->id_for,
	       n < 0 ? strerror(errno) : "only a part fits");
	return -1;
}

int queue_send(struct op *op, uint32_t id, int fd)
{
	struct sk_queues *q = op->files->queues;

	for (size_t i = q ? first_packet(q, id) : 0; q && i < q->nr && q->v[i].id_for == id; i++)
		if (send_packet(op, &q->v[i], fd))
			return -1;
	return 0;
}

void queues_free(struct op *op)
{
	struct sk_queues *q = op->files->queues;

	if (!q)
		return;
	queues_dump_all(op);
	close_safe(&q->self.pidfd);
	close_safe(&q->self.proc);
	for (size_t i = 0; i < q->nr; i++) {
		free(q->v[i].data);
		free(q->v[i].rights);
	}
	free(q->v);
	free(q);
	op->files->queues = NULL;
}
