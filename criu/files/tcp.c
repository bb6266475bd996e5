// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP connections. --tcp-close: both commands forget them; the restored socket is one that is not connected, so that the task
 * sees a hang-up and an error, as after a reset by its peer.
 *
 * --tcp-established: the connection is held still by rules (net/lock.h), its sockets are put into repair mode (TCP_REPAIR),
 * in which the kernel tells sequence numbers, options, windows and queues, and closes without a packet. Image:
 * tcp-stream-<inode>.img. At restore a socket in repair mode is given all that, connects without a packet, and leaves repair mode
 * when the rules are gone. What had been sent is sent again where the peer did not acknowledge it.
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files/inet.h"
#include "net/inject.h"
#include "net/lock.h"
#include "tcp-stream.pb-c.h"
#include "util/log.h"

/* linux/tcp.h and netinet/tcp.h cannot be had together */
enum {
	ESTABLISHED = 1,
	FIN_WAIT1 = 4,
	FIN_WAIT2 = 5,
	CLOSE = 7,
	CLOSE_WAIT = 8,
	LAST_ACK = 9,
	LISTEN = 10,
	CLOSING = 11
};
enum { OPT_TIMESTAMPS = 1, OPT_SACK = 2, OPT_WSCALE = 4, OPT_ECN = 8 };
#define QUEUE_CHUNK (64U << 10)
#define MAX_QUEUE   (256U << 20)

struct tcp {
	InetSkEntry *e;
	int fd;
	bool in_repair;
};

struct inet_socks {
	struct tcp *v;
	size_t nr, cap;
	bool locked;
};

static struct inet_socks *connections(struct op *op)
{
	if (!op->files->inet_socks)
		op->files->inet_socks = xzalloc(sizeof(struct inet_socks));
	return op->files->inet_socks;
}

static int remember(struct op *op, InetSkEntry *e, int fd)
{
	struct inet_socks *is = connections(op);

	if (!is || fd < 0 || xgrow(&is->v, &is->cap, is->nr, sizeof(*is->v)))
		return -1;
	is->v[is->nr++] = (struct tcp){ .e = e, .fd = fd };
	return 0;
}

/* Which halves are closed. A FIN counts as a byte of its direction. */
static bool has_fin_out(const InetSkEntry *e)
{
	return e->state == FIN_WAIT1 || e->state == FIN_WAIT2 || e->state == CLOSING ||
	       e->state == LAST_ACK;
}

static bool has_fin_in(const InetSkEntry *e)
{
	return e->state == CLOSE_WAIT || e->state == CLOSING || e->state == LAST_ACK;
}

static bool is_supported(const InetSkEntry *e)
{
	return e->state == ESTABLISHED || has_fin_out(e) || has_fin_in(e);
}

static bool is_connection(const InetSkEntry *e)
{
	return e->proto == IPPROTO_TCP && e->type == SOCK_STREAM && e->state != CLOSE &&
	       e->state != LISTEN;
}

/* The rules of all connections; UNLOCK: away with them. */
static int lock_all(struct op *op, bool unlock)
{
	struct inet_socks *is = op->files->inet_socks;
	cleanup_free struct connection *c = xcalloc(is->nr + 1, sizeof(*c));
	int id = op->root->vpid;

	if (!c)
		return -1;
	for (size_t i = 0; i < is->nr; i++) {
		InetSkEntry *e = is->v[i].e;

		c[i] = (struct connection){ e->family, e->src_addr, e->dst_addr, e->src_port,
					    e->dst_port };
	}
	is->locked = !unlock;
	return unlock ? network_unlock(c, is->nr, id) : network_lock(c, is->nr, id);
}

static int set_int(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

/* ---- dump ---- */

int tcp_dump(struct op *op, const struct fd_probe *p, InetSkEntry *e)
{
	if (opts.tcp_close)
		return 0;
	if (!opts.tcp_established) {
		pr_err("%s is a connected TCP socket (%s): --tcp-established keeps the connection, "
		       "--tcp-close closes it",
		       probe_name(p), inet_name(e));
		return -1;
	}
	if (is_supported(e))
		return remember(op, e, fcntl(p->lfd, F_DUPFD_CLOEXEC, 0));
	pr_err("%s is a TCP connection (%s) in state %u, just being made: not supported, "
	       "--tcp-close closes it",
	       probe_name(p), inet_name(e), e->state);
	return -1;
}

/* The bytes of one queue, which stay there. */
static int peek_queue(int fd, int queue, uint32_t len, char **data)
{
	uint32_t done = 0;

	*data = xmalloc(len + 1UL);
	if (!*data || set_int(fd, TCP_REPAIR_QUEUE, queue))
		return -1;
	/* in repair mode the whole queue is given at once */
	if (len)
		done = recv(fd, *data, len, MSG_PEEK | MSG_DONTWAIT);
	return done == len ? 0 : -1;
}

static int get_seq(int fd, int queue, uint32_t *seq)
{
	socklen_t len = sizeof(*seq);

	if (set_int(fd, TCP_REPAIR_QUEUE, queue))
		return -1;
	return getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, seq, &len);
}

static int get_options(int fd, TcpStreamEntry *s)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int mss, stamp;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -1;
	s->opt_mask = info.tcpi_options & (OPT_TIMESTAMPS | OPT_SACK | OPT_WSCALE | OPT_ECN);
	s->snd_wscale = info.tcpi_snd_wscale;
	s->has_rcv_wscale = true;
	s->rcv_wscale = info.tcpi_rcv_wscale;
	len = sizeof(mss);
	if (getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &len))
		return -1;
	s->mss_clamp = mss;
	len = sizeof(stamp);
	if (getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &stamp, &len))
		return -1;
	s->has_timestamp = true;
	s->timestamp = stamp;
	return 0;
}

static int get_window(int fd, TcpStreamEntry *s)
{
	struct tcp_repair_window w;
	socklen_t len = sizeof(w);

	if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, &len))
		return -1;
	s->has_snd_wl1 = s->has_snd_wnd = s->has_max_window = s->has_rcv_wnd = s->has_rcv_wup =
		true;
	s->snd_wl1 = w.snd_wl1;
	s->snd_wnd = w.snd_wnd;
	s->max_window = w.max_window;
	s->rcv_wnd = w.rcv_wnd;
	s->rcv_wup = w.rcv_wup;
	return 0;
}

static int write_stream(struct op *op, const struct tcp *t, const TcpStreamEntry *s, const char *in,
			const char *out)
{
	struct image *img = image_create(op->images, IMG_TCP_STREAM, t->e->ino);
	int ret;

	if (!img)
		return -1;
	ret = image_write(img, &s->base) || image_write_raw(img, in, s->inq_len) ||
	      image_write_raw(img, out, s->outq_len);
	return image_close(img) || ret ? -1 : 0;
}

static int dump_stream(struct op *op, struct tcp *t)
{
	TcpStreamEntry s = TCP_STREAM_ENTRY__INIT;
	cleanup_free char *in = NULL, *out = NULL;
	int inq, outq, unsent;

	if (set_int(t->fd, TCP_REPAIR, 1))
		goto fail;
	t->in_repair = true;
	if (get_options(t->fd, &s) || get_window(t->fd, &s) || ioctl(t->fd, SIOCINQ, &inq) ||
	    ioctl(t->fd, SIOCOUTQ, &outq) || ioctl(t->fd, SIOCOUTQNSD, &unsent))
		goto fail;
	/* a FIN that was sent and not acknowledged counts as a byte */
	if (has_fin_out(t->e) && t->e->state != FIN_WAIT2)
		outq -= outq ? 1 : 0;
	s.inq_len = inq;
	s.outq_len = outq;
	s.has_unsq_len = true;
	s.unsq_len = min(unsent, outq);
	if (get_seq(t->fd, TCP_RECV_QUEUE, &s.inq_seq) ||
	    peek_queue(t->fd, TCP_RECV_QUEUE, inq, &in) ||
	    get_seq(t->fd, TCP_SEND_QUEUE, &s.outq_seq) ||
	    peek_queue(t->fd, TCP_SEND_QUEUE, outq, &out) ||
	    set_int(t->fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE))
		goto fail;
	return write_stream(op, t, &s, in, out);
fail:
	pr_perror("Can't save the TCP connection %s", inet_name(t->e));
	return -1;
}

int tcp_dump_all(struct op *op)
{
	struct inet_socks *is = op->files->inet_socks;

	if (!is || !is->nr)
		return 0;
	if (lock_all(op, false))
		return -1;
	for (size_t i = 0; i < is->nr; i++)
		if (dump_stream(op, &is->v[i]))
			return -1;
	return 0;
}

/* ---- restore ---- */

int tcp_collect(struct op *op, InetSkEntry *e)
{
	struct image *img;

	if (!is_connection(e))
		return 0;
	if (opts.tcp_close)
		return 0;
	if (!opts.tcp_established) {
		pr_err("The images have a connected TCP socket (%s): --tcp-established keeps the "
		       "connection, --tcp-close closes it",
		       inet_name(e));
		return -1;
	}
	if (!is_supported(e)) {
		pr_err("The images have a TCP connection (%s) in state %u: not supported, "
		       "--tcp-close closes it",
		       inet_name(e), e->state);
		return -1;
	}
	img = image_open(op->images, IMG_TCP_STREAM, e->ino, true);
	return img ? image_close(img) : -1;
}

static int set_seq(int fd, int queue, uint32_t seq)
{
	return set_int(fd, TCP_REPAIR_QUEUE, queue) ||
	       setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof(seq));
}

/* In repair mode what is sent goes into the chosen queue, and nowhere else. */
static int fill_queue(int fd, int queue, const char *data, uint32_t len)
{
	if (set_int(fd, TCP_REPAIR_QUEUE, queue))
		return -1;
	while (len) {
		ssize_t n = send(fd, data, min(len, QUEUE_CHUNK), MSG_DONTWAIT);

		if (n <= 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

static int set_options(int fd, const TcpStreamEntry *s)
{
	struct tcp_repair_opt o[4];
	int nr = 0;

	o[nr++] = (struct tcp_repair_opt){ 2 /* MAXSEG */, s->mss_clamp };
	if (s->opt_mask & OPT_SACK)
		o[nr++] = (struct tcp_repair_opt){ 4, 0 };
	if (s->opt_mask & OPT_WSCALE)
		o[nr++] = (struct tcp_repair_opt){ 3, s->snd_wscale | s->rcv_wscale << 16 };
	if (s->opt_mask & OPT_TIMESTAMPS)
		o[nr++] = (struct tcp_repair_opt){ 8, 0 };
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, o, nr * sizeof(*o)) ||
	       (s->opt_mask & OPT_TIMESTAMPS && set_int(fd, TCP_TIMESTAMP, s->timestamp));
}

/* RCV_NXT: what has been put into the receive queue so far; the window must not have been announced beyond it. */
static int set_window(int fd, const TcpStreamEntry *s, uint32_t rcv_nxt)
{
	struct tcp_repair_window w = { s->snd_wl1, s->snd_wnd, s->max_window, s->rcv_wnd,
				       s->rcv_wup };

	if ((int32_t)(w.rcv_wup - rcv_nxt) > 0)
		w.rcv_wup = rcv_nxt;
	return s->has_snd_wnd ? setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w)) : 0;
}

static int read_stream(struct op *op, const InetSkEntry *e, TcpStreamEntry **s, char **data)
{
	struct image *img = image_open(op->images, IMG_TCP_STREAM, e->ino, true);
	uint64_t len;
	int ret = -1;

	if (!img)
		return -1;
	if (image_read_as(img, s) == 1) {
		len = (uint64_t)(*s)->inq_len + (*s)->outq_len;
		if (len > MAX_QUEUE || (off_t)len > image_bytes_left(img))
			pr_err("%s: the queues' %lu bytes are not there", image_name(img), len);
		else if ((*data = xmalloc(len + 1)))
			ret = image_read_raw(img, *data, len);
	}
	image_close(img);
	return ret;
}

/* What the peer's segments had said cannot be put into a queue: one like its own brings it. */
static int receive(const InetSkEntry *e, bool fin, uint32_t seq, uint32_t ack, int fd, int state)
{
	struct connection c = { e->family, e->src_addr, e->dst_addr, e->src_port, e->dst_port };
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	c = network_plain(&c);
	if (inject_segment(&c, fin, seq, ack))
		return -1;
	for (int i = 0; i < 1000; i++) {
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
			return -1;
		if (info.tcpi_state == state)
			return 0;
		usleep(1000);
	}
	errno = ETIMEDOUT;
	return -1;
}

/* Both halves' ends, in the order in which they came. IN: the number of the peer's FIN. */
static int close_halves(const InetSkEntry *e, const TcpStreamEntry *s, int fd, uint32_t in)
{
	uint32_t acked = s->outq_seq - s->outq_len - (has_fin_out(e) ? 1 : 0);

	if (e->state == LAST_ACK && receive(e, true, in, acked, fd, CLOSE_WAIT))
		return -1;
	/* our FIN goes into the queue like data, and is sent again until it is acknowledged */
	if (has_fin_out(e) &&
	    (set_int(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) || shutdown(fd, SHUT_WR) ||
	     set_int(fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE)))
		return -1;
	switch (e->state) {
	case FIN_WAIT2:
		return receive(e, false, in, s->outq_seq, fd, FIN_WAIT2);
	case CLOSE_WAIT:
		return receive(e, true, in, acked, fd, CLOSE_WAIT);
	case CLOSING:
		return receive(e, true, in, acked, fd, CLOSING);
	default:
		return 0;
	}
}

static int rebuild(const InetSkEntry *e, const TcpStreamEntry *s, const char *data, int fd)
{
	struct sockaddr_in6 src, dst;
	socklen_t src_len = inet_source(e, &src), dst_len = inet_destination(e, &dst);
	uint32_t out = s->outq_seq - s->outq_len - (has_fin_out(e) ? 1 : 0);
	uint32_t in = s->inq_seq - (has_fin_in(e) ? 1 : 0);
	int big = MAX_QUEUE;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	if (set_int(fd, TCP_REPAIR, 1) || set_seq(fd, TCP_SEND_QUEUE, out) ||
	    set_seq(fd, TCP_RECV_QUEUE, in - s->inq_len) ||
	    bind(fd, (struct sockaddr *)&src, src_len) ||
	    connect(fd, (struct sockaddr *)&dst, dst_len) || set_options(fd, s) ||
	    fill_queue(fd, TCP_RECV_QUEUE, data, s->inq_len) ||
	    fill_queue(fd, TCP_SEND_QUEUE, data + s->inq_len, s->outq_len))
		return -1;
	if (set_window(fd, s, in) || set_int(fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE))
		return -1;
	return close_halves(e, s, fd, in);
}

int tcp_restore(struct op *op, InetSkEntry *e, int fd, const char *what)
{
	cleanup_free char *data = NULL;
	TcpStreamEntry *s = NULL;
	int ret;

	if (opts.tcp_close)
		return 0;
	ret = read_stream(op, e, &s, &data);
	if (!ret) {
		ret = rebuild(e, s, data, fd);
		if (ret)
			pr_perror("Can't make the connection of %s again", what);
		else
			ret = remember(op, e, fcntl(fd, F_DUPFD_CLOEXEC, 0));
	}
	if (s)
		tcp_stream_entry__free_unpacked(s, NULL);
	return ret ? -1 : 0;
}

int tcp_leave_repair(const InetSkEntry *e, int fd, bool probe)
{
	int reuse = e->opts->has_reuseaddr && e->opts->reuseaddr;

	return set_int(fd, TCP_REPAIR, probe ? 0 : -1) ||
			       setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse))
		       ? -1
		       : 0;
}

int files_resume_network(struct op *op)
{
	struct inet_socks *is = op->files->inet_socks;

	if (!is || !is->nr)
		return 0;
	lock_all(op, true);
	fault_kill("unlocked");
	for (size_t i = 0; i < is->nr; i++) {
		if (tcp_leave_repair(is->v[i].e, is->v[i].fd, true))
			pr_perror("Can't let the TCP connection %s go on", inet_name(is->v[i].e));
		fault_kill("half-connected");
	}
	return 0;
}

/* A dump that failed, or leaves the tasks: as before. One that ends them leaves the rules for restore. */
void tcp_free(struct op *op)
{
	struct inet_socks *is = op->files->inet_socks;
	bool dumped = is && op->files->dumping;

	if (!is)
		return;
	if (dumped && (op->failed || opts.leave_running || opts.leave_stopped)) {
		for (size_t i = 0; i < is->nr; i++)
			if (is->v[i].in_repair && tcp_leave_repair(is->v[i].e, is->v[i].fd, false))
				pr_perror("Can't let the TCP connection %s go on",
					  inet_name(is->v[i].e));
		if (is->locked)
			lock_all(op, true);
	}
	for (size_t i = 0; i < is->nr; i++)
		close_safe(&is->v[i].fd);
	free(is->v);
	free(is);
	op->files->inet_socks = NULL;
}
