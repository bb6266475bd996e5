// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "mem/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "remote/fdpass.h"
#include "remote/puppet.h"
#include "util/log.h"

#define PIPE_SIZE (1 << 20) /* what everybody may have: fs.pipe-max-size */
#define BATCH	  32	    /* pipes that the task has at a time */
#define MAX_PIPES 8192	    /* of the 20000 descriptors that are to be had */
#define MAX_IOV	  128	    /* per pipe */

/* A stretch of pages in one pipe, in the order in which it comes out. */
struct segment {
	uint64_t addr, len;
	int fd; /* to read from */
};

struct page_pipes {
	struct segment *segs;
	size_t nr, cap, at; /* AT: the next that is not drained */
	int *fds;
	size_t nr_fds, cap_fds;
};

/* What one pipe is to take. */
struct load {
	int rd, wr, call;
	struct iovec iov[MAX_IOV];
	unsigned nr_iov;
};

struct filler {
	struct page_pipes *pp;
	struct op *op;
	struct puppet *p;
	struct fd_channel channel;
	const struct page_run *run, *end;
	uint64_t skip; /* bytes of RUN that are in pipes */
	struct load loads[BATCH];
};

static int make_pipe(struct load *l, size_t *size)
{
	int p[2], n;

	if (pipe2(p, O_CLOEXEC))
		return -1;
	n = fcntl(p[1], F_SETPIPE_SZ, PIPE_SIZE);
	*size = n > 0 ? n : 65536;
	l->rd = p[0];
	l->wr = p[1];
	return 0;
}

/* The next pages, as many as go into SIZE bytes of pipe. */
static void load(struct filler *f, struct load *l, size_t size)
{
	l->nr_iov = 0;
	while (size && f->run < f->end && l->nr_iov < MAX_IOV) {
		uint64_t left = f->run->nr_pages * PAGE_SIZE - f->skip, part = min(left, size);

		if (!(f->run->flags & PE_PRESENT) || !left) {
			f->run++;
			f->skip = 0;
			continue;
		}
		l->iov[l->nr_iov++] = (struct iovec){ (void *)(f->run->start + f->skip), part };
		f->skip += part;
		size -= part;
	}
}

static int note_segments(struct page_pipes *pp, const struct load *l, uint64_t len)
{
	for (unsigned i = 0; i < l->nr_iov && len; i++) {
		uint64_t part = min(len, l->iov[i].iov_len);

		if (xgrow(&pp->segs, &pp->cap, pp->nr, sizeof(*pp->segs)))
			return -1;
		pp->segs[pp->nr++] = (struct segment){ (uint64_t)l->iov[i].iov_base, part, l->rd };
		len -= part;
	}
	return 0;
}

static uint64_t load_len(const struct load *l)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < l->nr_iov; i++)
		len += l->iov[i].iov_len;
	return len;
}

/* The task gets the ends, fills them, and closes them: one program. */
static int splice_batch(struct filler *f, unsigned nr)
{
	int fds[BATCH] = { -1 }, remote[BATCH];

	for (unsigned i = 0; i < nr; i++)
		fds[i] = f->loads[i].wr;
	if (fd_channel_send(f->p, &f->channel, fds, nr, remote))
		return -1;
	prog_reset(f->p);
	for (unsigned i = 0; i < nr; i++) {
		struct load *l = &f->loads[i];

		l->call = prog_add(f->p, 0, __NR_vmsplice, remote[i],
				   prog_buf(f->p, l->iov, l->nr_iov * sizeof(*l->iov)), l->nr_iov,
				   SPLICE_F_NONBLOCK);
		prog_add(f->p, 0, __NR_close, remote[i]);
	}
	return prog_run(f->p);
}

/* 1: go on, 0: all is in pipes, or nothing more goes; -1: the puppet is gone */
static int fill_batch(struct filler *f)
{
	struct page_pipes *pp = f->pp;
	unsigned nr = 0;
	bool whole = true;
	int ret;

	for (; nr < BATCH && pp->nr_fds + nr < MAX_PIPES; nr++) {
		struct load *l = &f->loads[nr];
		size_t size;

		if (f->run == f->end || make_pipe(l, &size))
			break;
		load(f, l, size);
	}
	if (!nr)
		return 0;
	ret = splice_batch(f, nr);
	for (unsigned i = 0; i < nr; i++) {
		struct load *l = &f->loads[i];
		int64_t n = ret ? -1 : prog_ret(f->p, l->call);

		close(l->wr);
		if (xgrow(&pp->fds, &pp->cap_fds, pp->nr_fds, sizeof(*pp->fds))) {
			close(l->rd);
			whole = false;
			continue;
		}
		pp->fds[pp->nr_fds++] = l->rd;
		/* segments must follow each other without a gap: the rest is read */
		if (whole && n > 0 && note_segments(pp, l, round_down((uint64_t)n, PAGE_SIZE)))
			whole = false;
		whole &= n == (int64_t)load_len(l);
	}
	f->op->stats.page_pipes += nr;
	return ret ? -1 : whole;
}

struct page_pipes *pipes_fill(struct op *op, struct task *t, const struct page_run *runs, size_t nr)
{
	cleanup_free struct filler *f = xzalloc(sizeof(*f));
	struct page_pipes *pp = xzalloc(sizeof(*pp));
	int ret;

	if (!f || !pp) {
		free(pp);
		return NULL;
	}
	f->pp = pp;
	f->op = op;
	f->p = leader(t)->puppet;
	f->run = runs;
	f->end = runs + nr;
	if (fd_channel_open(f->p, &f->channel))
		return pp;
	while ((ret = fill_batch(f)) > 0)
		;
	fd_channel_close(f->p, &f->channel);
	op->stats.page_pipe_bufs += pp->nr;
	return pp;
}

uint64_t pipes_next(const struct page_pipes *pp, uint64_t addr, uint64_t max)
{
	const struct segment *s;

	if (!pp || pp->at == pp->nr)
		return 0;
	s = &pp->segs[pp->at];
	return s->addr == addr ? min(s->len, max) : 0;
}

/* Through a buffer, to be encrypted. As splice(2). */
static ssize_t copy_some(int fd, struct page_sink *sink, uint64_t len)
{
	char buf[64 << 10];
	ssize_t n = read(fd, buf, min(len, (uint64_t)sizeof(buf)));

	return n > 0 && sink_write(sink, buf, n) ? -1 : n;
}

int pipes_drain(struct page_pipes *pp, struct page_sink *sink, uint64_t len)
{
	struct segment *s = &pp->segs[pp->at];

	while (len) {
		ssize_t n = sink_raw(sink)
				    ? splice(s->fd, NULL, sink_fd(sink), NULL, len, SPLICE_F_MOVE)
				    : copy_some(s->fd, sink, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (!n)
				errno = ENODATA;
			pr_perror("Can't move %lu bytes of pages out of a pipe", len);
			return -1;
		}
		len -= n;
		s->addr += n;
		s->len -= n;
	}
	if (!s->len)
		pp->at++;
	return 0;
}

void pipes_free(struct page_pipes *pp)
{
	if (!pp)
		return;
	while (pp->nr_fds)
		close(pp->fds[--pp->nr_fds]);
	free(pp->fds);
	free(pp->segs);
	free(pp);
}
