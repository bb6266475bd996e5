// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminals, restore. A pseudo-terminal is made by opening /dev/ptmx until it has the old number (or, where that is taken, with
 * another one); its slaves are opened through the master (TIOCGPTPEER). A slave without master is criu's own terminal
 * (--shell-job), or was hung up: then it gets a master that is closed at once. Only a session leader itself can take a
 * controlling terminal: ttys_install().
 */
#include <fcntl.h>
#include <asm/termbits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/tty.h"
#include "remote/puppet.h"
#include "util/log.h"

#define MAX_TRIES 64

int tty_collect(struct op *op)
{
	struct image *img = image_open(op->images, IMG_TTY_INFO, 0, false);
	TtyInfoEntry *e;
	int ret = 0;

	if (!img && errno != ENOENT)
		return -1;
	while (img && (ret = image_read_as(img, &e)) > 0) {
		/* 5:2 is the multiplexer */
		if (tty_find(op, e->id) ||
		    !tty_add(op, e, (e->rdev & 0xfff00) >> 8 == 5 && (e->rdev & 0xff) == 2)) {
			pr_err("tty-info.img: two terminals with id %u", e->id);
			tty_info_entry__free_unpacked(e, NULL);
			ret = -1;
			break;
		}
		if (e->type == TTY_TYPE__CTTY || (e->type == TTY_TYPE__PTY && e->pty))
			continue;
		pr_err("tty-info.img: terminals of type %d are not supported", e->type);
		ret = -1;
		break;
	}
	image_close(img);
	for (size_t i = 0; i < op->files->nr && !ret; i++) {
		TtyFileEntry *f = op->files->v[i]->entry->tty;

		if (!f || tty_find(op, f->tty_info_id))
			continue;
		pr_err("tty-info.img has no terminal %u, which file %u refers to", f->tty_info_id,
		       f->id);
		ret = -1;
	}
	return ret;
}

/* criu's own terminal, whatever of its standard descriptors has it. */
static int own_terminal(struct op *op)
{
	struct ttys *ts = ttys(op);

	if (ts->terminal >= 0)
		return ts->terminal;
	for (int fd = 0; fd < 3 && ts->terminal < 0; fd++)
		if (isatty(fd))
			ts->terminal = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (ts->terminal < 0)
		ts->terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (ts->terminal < 0)
		pr_err("The tasks had a terminal, and criu has none to give them (--shell-job "
		       "wants one on criu's standard input)");
	return ts->terminal;
}

/* A new pseudo-terminal, with number INDEX if it can be had. Its master. */
static int make_pty(const char *ptmx, unsigned index)
{
	int tried[MAX_TRIES], nr = 0, fd = -1, got = -1;

	while (nr < MAX_TRIES) {
		fd = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, TIOCGPTN, &got) || got >= (int)index)
			break;
		tried[nr++] = fd;
		fd = -1;
	}
	if (fd < 0 && nr)
		fd = tried[--nr];
	while (nr > 0)
		close(tried[--nr]);
	if (fd < 0)
		pr_perror("Can't make a pseudo-terminal with %s", ptmx);
	else if (got != (int)index)
		pr_warn("Terminal /dev/pts/%u is taken: the tasks get /dev/pts/%d instead", index,
			got);
	return fd;
}

static int unlock(int master, int locked)
{
	return ioctl(master, TIOCSPTLCK, &locked);
}

/* The master of number INDEX, made at first use. */
static struct tty *master_of(struct op *op, struct tty *m)
{
	const char *ptmx = "/dev/ptmx";

	if (m->fd >= 0)
		return m;
	m->fd = make_pty(ptmx, m->e->pty->index);
	if (m->fd < 0)
		return NULL;
	if (unlock(m->fd, 0)) {
		pr_perror("Can't unlock terminal %u", m->e->pty->index);
		return NULL;
	}
	return m;
}

/* Opened again through its name, so that the flags are as if a task had done it. */
static int slave_of(int master, unsigned flags)
{
	cleanup_close int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	int fd = peer < 0 ? -1 : reopen_fd(peer, (flags & (O_ACCMODE | O_NONBLOCK)) | O_NOCTTY);

	if (fd < 0)
		pr_perror("Can't open the slave of a pseudo-terminal");
	return fd;
}

/* A slave whose master was closed: it hangs up when ours is. */
static int open_hung_up(unsigned index, unsigned flags)
{
	cleanup_close int master = make_pty("/dev/ptmx", index);

	return master < 0 || unlock(master, 0) ? -1 : slave_of(master, flags);
}

/* By index: the ids of CRIU's images are its own. */
struct tty *tty_master(struct op *op, const struct tty *s)
{
	struct ttys *ts = ttys(op);

	for (size_t i = 0; i < ts->nr && s->e->pty; i++)
		if (ts->v[i].master && ts->v[i].e->pty->index == s->e->pty->index)
			return &ts->v[i];
	return NULL;
}

static int open_slave(struct op *op, struct tty *s, unsigned flags)
{
	struct tty *m = tty_master(op, s);
	int fd;

	if (m)
		return master_of(op, m) ? slave_of(m->fd, flags) : -1;
	if (s->e->pty && !s->e->termios)
		return open_hung_up(s->e->pty->index, flags);
	if (!opts.shell_job) {
		pr_err("The tasks had a terminal from outside of the tree: --shell-job gives them "
		       "criu's");
		return -1;
	}
	fd = own_terminal(op);
	if (fd < 0)
		return -1;
	fd = reopen_fd(fd, (flags & (O_ACCMODE | O_NONBLOCK | O_APPEND)) | O_NOCTTY);
	if (fd < 0)
		pr_perror("Can't open criu's terminal again");
	return fd;
}

/* /dev/tty: the terminal that the sessions of the tree have. */
static int open_ctty(struct op *op, struct file *f)
{
	unsigned flags = f->entry->tty->flags;
	int fd = -1;

	for (size_t i = 0; !opts.shell_job && i < ttys(op)->nr; i++) {
		struct tty *s = &ttys(op)->v[i];

		if (!s->master && s->e->type == TTY_TYPE__PTY && s->e->sid)
			return open_slave(op, s, flags);
	}
	fd = open("/dev/tty", (flags & O_ACCMODE) | O_CLOEXEC);
	if (fd < 0 && own_terminal(op) >= 0)
		fd = reopen_fd(own_terminal(op), (flags & O_ACCMODE) | O_NOCTTY);
	return fd;
}

int tty_open(struct op *op, struct file *f)
{
	TtyFileEntry *e = f->entry->tty;
	struct tty *tty = tty_find(op, e->tty_info_id);

	if (tty->e->type == TTY_TYPE__CTTY) {
		f->fd = open_ctty(op, f);
	} else if (!tty->master) {
		f->fd = open_slave(op, tty, e->flags);
	} else if (master_of(op, tty)) {
		/* /dev/ptmx opened again is another terminal: descriptions of one master are one */
		f->fd = fcntl(tty->fd, F_DUPFD_CLOEXEC, 3);
	}
	if (f->fd < 0)
		return -1;
	if (!tty->master && tty->fd < 0)
		tty->fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
	return fd_restore_flags(f->fd, e->flags);
}

/* ---- settings ---- */

static void get_termios(const TermiosEntry *e, struct termios2 *k)
{
	memset(k, 0, sizeof(*k));
	k->c_iflag = e->c_iflag;
	k->c_oflag = e->c_oflag;
	k->c_cflag = e->c_cflag;
	k->c_lflag = e->c_lflag;
	k->c_line = e->c_line;
	k->c_ispeed = e->c_ispeed;
	k->c_ospeed = e->c_ospeed;
	for (size_t i = 0; i < e->n_c_cc && i < TERMIOS_NCC; i++)
		k->c_cc[i] = e->c_cc[i];
}

static int restore_settings(const struct tty *tty)
{
	const TtyInfoEntry *e = tty->e;
	struct termios2 now, l2;
	struct termios locked;
	struct winsize size;

	if (!e->termios || tty->fd < 0)
		return 0;
	get_termios(e->termios, &now);
	if (ioctl(tty->fd, TCSETS2, &now))
		return -1;
	if (e->termios_locked) {
		get_termios(e->termios_locked, &l2);
		memcpy(&locked, &l2, sizeof(locked)); /* termios2 begins with a termios */
		if (ioctl(tty->fd, TIOCSLCKTRMIOS, &locked))
			return -1;
	}
	if (e->winsize) {
		size = (struct winsize){ e->winsize->ws_row, e->winsize->ws_col,
					 e->winsize->ws_xpixel, e->winsize->ws_ypixel };
		if (ioctl(tty->fd, TIOCSWINSZ, &size))
			return -1;
	}
	if (e->packet_mode && tty->master && ioctl(tty->fd, TIOCPKT, &(int){ 1 }))
		return -1;
	return e->exclusive ? ioctl(tty->fd, TIOCEXCL) : 0;
}

/* Settings through the master where there is one, else through the slave; an outside terminal's window is what it is now. */
int ttys_opened(struct op *op)
{
	struct ttys *ts = ttys(op);
	sigset_t stop, before;
	int ret;

	if (!ts || !ts->nr)
		return 0;
	/* criu may be in the background of its terminal */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	sigprocmask(SIG_BLOCK, &stop, &before);
	ret = tty_data_restore(op);
	for (size_t i = 0; i < ts->nr && !ret; i++) {
		struct tty *tty = &ts->v[i];
		bool inside = tty->master || tty_master(op, tty);

		if (!inside && tty->e->winsize) {
			winsize_entry__free_unpacked(tty->e->winsize, NULL);
			tty->e->winsize = NULL;
		}
		ret = restore_settings(tty);
		if (ret)
			pr_perror("Can't set terminal %u as it was", tty->e->id);
		else if (tty->master && tty->fd >= 0 && tty->e->locked)
			unlock(tty->fd, 1);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

/* ---- controlling terminals ---- */

static int take_terminal(struct op *op, struct task *t, const struct tty *tty)
{
	struct puppet *p = leader(t)->puppet;
	uint32_t pgrp = tty->e->pgrp;
	int there = install_fd(op, t, tty->fd);

	if (there < 0)
		return -1;
	prog_reset(p);
	prog_add(p, RC_STOP, __NR_ioctl, there, TIOCSCTTY, 0);
	if (pgrp)
		prog_add(p, RC_STOP, __NR_ioctl, there, TIOCSPGRP,
			 prog_buf(p, &pgrp, sizeof(pgrp)));
	prog_add(p, RC_STOP, __NR_close, there);
	return prog_run(p);
}

int ttys_install(struct op *op, struct task *t)
{
	struct ttys *ts = op->files->ttys;

	if (t->vpid != t->sid)
		return 0;
	for (size_t i = 0; ts && i < ts->nr; i++) {
		struct tty *tty = &ts->v[i];

		if (!tty->master && tty->e->type == TTY_TYPE__PTY && tty->fd >= 0 &&
		    tty->e->sid == (uint32_t)t->vpid)
			return take_terminal(op, t, tty);
	}
	return 0;
}
