// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pipes and FIFOs. Descriptions of one pipe share a pipe_id (its inode). What is in the pipe is copied with tee(2), which
 * leaves it there, into pipes-data.img and fifo-data.img. A FIFO has a second entry, of a regular file, for its path.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/kinds.h"
#include "pipe-data.pb-c.h"
#include "util/io.h"
#include "util/log.h"

#ifndef PIPEFS_MAGIC
#define PIPEFS_MAGIC 0x50495045
#endif

#define KERNEL_O_LARGEFILE 0100000 /* 0 in userspace's headers */

/* One pipe or FIFO. */
struct pipe {
	uint32_t id;
	bool fifo;
	bool read, written; /* dump: the tree has such an end */
	int fd; /* restore: FIFO: held open for both ways until the end; pipe: its reading end */
	int write_fd; /* restore: pipe */
	bool taken
		[2]; /* restore: pipe: some file is this very end, not one opened later through /proc */
	uint32_t size;
	char *data; /* restore */
	size_t len;
};

struct pipes {
	struct pipe *v;
	size_t nr, cap;
	struct image *data[2]; /* dump: pipes-data, fifo-data */
	int tee[2];
};

static struct pipes *pipes(struct op *op)
{
	struct pipes *ps = op->files->pipes;

	if (!ps && (ps = op->files->pipes = xzalloc(sizeof(*ps))))
		ps->tee[0] = ps->tee[1] = -1;
	return ps;
}

static struct pipe *pipe_of(struct pipes *ps, uint32_t id, bool fifo)
{
	for (size_t i = 0; i < ps->nr; i++)
		if (ps->v[i].id == id && ps->v[i].fifo == fifo)
			return &ps->v[i];
	if (xgrow(&ps->v, &ps->cap, ps->nr, sizeof(*ps->v)))
		return NULL;
	ps->v[ps->nr] = (struct pipe){ .id = id, .fifo = fifo, .fd = -1, .write_fd = -1 };
	return &ps->v[ps->nr++];
}

/* ---- dump ---- */

/* Makes the helper pipe at least SIZE bytes large and empty. */
static int tee_pipe(struct pipes *ps, int size)
{
	if (ps->tee[0] < 0 && pipe2(ps->tee, O_CLOEXEC | O_NONBLOCK)) {
		pr_perror("Can't make a pipe");
		return -1;
	}
	if (fcntl(ps->tee[0], F_GETPIPE_SZ) < size && fcntl(ps->tee[0], F_SETPIPE_SZ, size) < 0) {
		pr_perror("Can't make a pipe of %d bytes", size);
		return -1;
	}
	return 0;
}

/* Copies the BYTES of pipe IN into the helper pipe. */
static int tee_data(struct pipes *ps, const struct fd_probe *p, int in, int size, int bytes)
{
	ssize_t n;

	if (tee_pipe(ps, size))
		return -1;
	n = tee(in, ps->tee[1], size, SPLICE_F_NONBLOCK);
	if (n == bytes)
		return 0;
	pr_err("Can't copy the %d bytes in the pipe of %s (got %zd)", bytes, probe_name(p), n);
	return -1;
}

/* A read gives one packet (O_DIRECT) at most. Where one ends and the next begins has no place in the images. */
static int refuse_packets(struct pipes *ps, const struct fd_probe *p, int bytes)
{
	cleanup_free char *buf = xmalloc(bytes);
	ssize_t n = buf ? read(ps->tee[0], buf, bytes) : -1;

	if (n == bytes)
		return 0;
	if (n > 0)
		pr_err("%s: packets (O_DIRECT) that wait in a pipe are not supported",
		       probe_name(p));
	else if (n < 0)
		pr_perror("Can't read what is in the pipe of %s", probe_name(p));
	return -1;
}

static int dump_data(struct op *op, const struct fd_probe *p, bool fifo)
{
	PipeDataEntry e = PIPE_DATA_ENTRY__INIT;
	struct pipes *ps = op->files->pipes;
	cleanup_close int in = reopen_fd(p->lfd, O_RDONLY | O_NONBLOCK);
	int size, bytes;

	if (in < 0 || (size = fcntl(in, F_GETPIPE_SZ)) < 0 || ioctl(in, FIONREAD, &bytes)) {
		pr_perror("Can't look into the pipe of %s", probe_name(p));
		return -1;
	}
	if (!bytes && size == 65536)
		return 0;
	/* read once to look, and once for the image */
	if (bytes && (tee_data(ps, p, in, size, bytes) || refuse_packets(ps, p, bytes) ||
		      tee_data(ps, p, in, size, bytes)))
		return -1;
	if (!ps->data[fifo])
		ps->data[fifo] = image_create(op->images, fifo ? IMG_FIFO_DATA : IMG_PIPES_DATA, 0);
	if (!ps->data[fifo])
		return -1;
	e.pipe_id = p->st.st_ino;
	e.bytes = bytes;
	e.has_size = true;
	e.size = size;
	if (image_write(ps->data[fifo], &e.base))
		return -1;
	return image_write_from(ps->data[fifo], ps->tee[0], NULL, bytes);
}

/* The first description of a pipe saves what is in it. */
static int dump_data_once(struct op *op, const struct fd_probe *p, bool fifo)
{
	struct pipes *ps = pipes(op);
	size_t nr = ps ? ps->nr : 0;
	struct pipe *pp = ps ? pipe_of(ps, p->st.st_ino, fifo) : NULL;

	if (!pp)
		return -1;
	pp->read |= (p->flags & O_ACCMODE) != O_WRONLY;
	pp->written |= (p->flags & O_ACCMODE) != O_RDONLY;
	return ps->nr == nr ? 0 : dump_data(op, p, fifo);
}

static bool pipe_recognise(const struct fd_probe *p)
{
	return S_ISFIFO(p->st.st_mode) && p->fs.f_type == PIPEFS_MAGIC;
}

static int pipe_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	PipeEntry *e = f->entry->pipe = NEW_MSG(PipeEntry, pipe_entry);

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	e->id = f->id;
	e->pipe_id = p->st.st_ino;
	e->flags = p->flags;
	return dump_data_once(op, p, false);
}

static bool fifo_recognise(const struct fd_probe *p)
{
	return S_ISFIFO(p->st.st_mode);
}

static int fifo_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	FifoEntry *e = f->entry->fifo = NEW_MSG(FifoEntry, fifo_entry);
	struct file *reg = file_new(op, FD_TYPES__REG);

	if (!e || !reg || reg_dump_entry(op, p, reg))
		return -1;
	e->id = f->id;
	e->pipe_id = p->st.st_ino;
	e->has_regf_id = true;
	e->regf_id = reg->id;
	return dump_data_once(op, p, true);
}

/* A pipe whose other end is elsewhere (a shell's, a service manager's) comes back with that end closed. */
static void tell_outside(const struct pipes *ps)
{
	for (size_t i = 0; ps && i < ps->nr; i++) {
		const struct pipe *pp = &ps->v[i];

		if (!pp->fifo && pp->read != pp->written)
			pr_info("Nobody in the tree has the %s end of pipe:[%u]: --inherit-fd "
				"fd[N]:pipe:[%u] at restore can replace it",
				pp->read ? "writing" : "reading", pp->id, pp->id);
	}
}

static int pipes_close(struct op *op)
{
	struct pipes *ps = op->files->pipes;
	int ret = 0;

	for (int i = 0; ps && i < 2; i++) {
		ret |= image_close(ps->data[i]);
		ps->data[i] = NULL;
	}
	return ret ? -1 : 0;
}

static int pipes_dump_all(struct op *op)
{
	tell_outside(op->files->pipes);
	return pipes_close(op);
}

/* ---- restore ---- */

static int collect_data(struct op *op, bool fifo)
{
	enum image_type type = fifo ? IMG_FIFO_DATA : IMG_PIPES_DATA;
	struct image *img = image_open(op->images, type, 0, false);
	PipeDataEntry *e;
	int ret = 0;

	if (!img)
		return errno == ENOENT ? 0 : -1;
	while (!ret && (ret = image_read_as(img, &e)) > 0) {
		struct pipe *pp = pipe_of(pipes(op), e->pipe_id, fifo);

		ret = -1;
		if (pp && e->bytes <= image_bytes_left(img)) {
			pp->size = e->has_size ? e->size : 0;
			pp->len = e->bytes;
			free(pp->data);
			pp->data = xmalloc(e->bytes + 1);
			ret = pp->data ? image_read_raw(img, pp->data, pp->len) : -1;
		} else if (pp) {
			pr_err("%s: %u bytes of pipe %u are missing", image_name(img), e->bytes,
			       e->pipe_id);
		}
		pipe_data_entry__free_unpacked(e, NULL);
	}
	image_close(img);
	return ret;
}

static int pipes_collect(struct op *op)
{
	return pipes(op) ? collect_data(op, false) || collect_data(op, true) ? -1 : 0 : -1;
}

/* FD: a writable end of a fresh pipe. */
static int fill(struct pipe *pp, int fd)
{
	if (pp->size && fcntl(fd, F_GETPIPE_SZ) != (int)pp->size &&
	    fcntl(fd, F_SETPIPE_SZ, pp->size) < 0)
		pr_warn("Can't make pipe %u %u bytes large: %s", pp->id, pp->size, strerror(errno));
	if (pp->len && write_full(fd, pp->data, pp->len)) {
		pr_perror("Can't put %zu bytes back into pipe %u", pp->len, pp->id);
		return -1;
	}
	pp->len = 0;
	return 0;
}

/* Is an end of pipe ID for writing packets? */
static bool takes_packets(struct op *op, uint32_t id)
{
	for (size_t i = 0; i < op->files->nr; i++) {
		const PipeEntry *e = op->files->v[i]->entry->pipe;

		if (e && e->pipe_id == id && (e->flags & O_ACCMODE) != O_RDONLY &&
		    (e->flags & O_DIRECT))
			return true;
	}
	return false;
}

/* The pipe ID, made and filled at first use. NULL: logged. */
static struct pipe *materialise(struct op *op, uint32_t id)
{
	struct pipe *pp = pipe_of(pipes(op), id, false);
	int p[2];

	if (!pp || pp->fd >= 0)
		return pp;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK)) {
		pr_perror("Can't make pipe %u", id);
		return NULL;
	}
	pp->fd = p[0];
	pp->write_fd = p[1];
	/* the next packet must not be joined to it */
	if (pp->len <= PIPE_BUF && takes_packets(op, id))
		fcntl(p[1], F_SETFL, O_DIRECT | O_NONBLOCK);
	return fill(pp, p[1]) ? NULL : pp;
}

/* One description per end came from pipe(2); others were opened through /proc, which shows in O_LARGEFILE. */
static int pipe_open(struct op *op, struct file *f)
{
	PipeEntry *e = f->entry->pipe;
	struct pipe *pp = materialise(op, e->pipe_id);
	int end = (e->flags & O_ACCMODE) == O_WRONLY;

	if (!pp)
		return -1;
	if (!(e->flags & KERNEL_O_LARGEFILE) && !pp->taken[end] &&
	    (e->flags & O_ACCMODE) != O_RDWR) {
		pp->taken[end] = true;
		f->fd = fcntl(end ? pp->write_fd : pp->fd, F_DUPFD_CLOEXEC, 0);
	} else {
		f->fd = reopen_fd(pp->fd, (e->flags & ~O_ASYNC) | O_NONBLOCK);
	}
	if (f->fd < 0) {
		pr_perror("Can't open an end of pipe %u", e->pipe_id);
		return -1;
	}
	return fd_restore_flags(f->fd, e->flags);
}

static int fifo_open(struct op *op, struct file *f)
{
	FifoEntry *e = f->entry->fifo;
	struct file *reg = file_by_id(op, e->has_regf_id ? e->regf_id : e->id);
	struct pipe *pp = pipe_of(pipes(op), e->pipe_id, true);
	uint32_t flags;

	if (!pp || !reg || !reg->entry->reg) {
		pr_err("FIFO %u has no path in files.img", e->id);
		return -1;
	}
	/*
	 * Open for both ways never waits; kept until all are open, so that none of them does. One that is full
	 * already (others have it open) is an error, not a wait.
	 */
	if (pp->fd < 0) {
		pp->fd = reg_open_entry(op, reg, O_RDWR | O_NONBLOCK);
		if (pp->fd < 0 || fill(pp, pp->fd))
			return -1;
	}
	flags = reg->entry->reg->flags;
	f->fd = reg_open_entry(op, reg, flags & ~O_NONBLOCK);
	if (f->fd < 0)
		return -1;
	return fd_restore_flags(f->fd, flags);
}

/* The owner is in the path's entry. */
static int fifo_finish(struct op *op, struct task *t, struct file *f, int fd)
{
	struct file *reg = file_by_id(op, f->entry->fifo->has_regf_id ? f->entry->fifo->regf_id
								      : f->entry->fifo->id);

	return fown_finish(op, t, reg, fd);
}

static void pipes_free(struct op *op)
{
	struct pipes *ps = op->files->pipes;

	if (!ps)
		return;
	for (size_t i = 0; i < ps->nr; i++) {
		close_safe(&ps->v[i].fd);
		close_safe(&ps->v[i].write_fd);
		free(ps->v[i].data);
	}
	pipes_close(op);
	close_safe(&ps->tee[0]);
	close_safe(&ps->tee[1]);
	free(ps->v);
	free(ps);
	op->files->pipes = NULL;
}

const struct file_kind pipe_kind = {
	.name = "pipe",
	.type = FD_TYPES__PIPE,
	.recognise = pipe_recognise,
	.dump = pipe_dump,
	.dump_all = pipes_dump_all,
	.collect = pipes_collect,
	.open = pipe_open,
	.finish = fown_finish,
	.free = pipes_free,
};

const struct file_kind fifo_kind = {
	.name = "FIFO",
	.type = FD_TYPES__FIFO,
	.recognise = fifo_recognise,
	.dump = fifo_dump,
	.open = fifo_open,
	.finish = fifo_finish,
};
