// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminals, dump: pseudo-terminals (pty(7)), both ends of which are in the tree, or whose slave belongs to the shell's terminal
 * (--shell-job: restore gives the terminal that criu has then). Messages: tty_file_entry per description, tty_info_entry per
 * end of a terminal (tty-info.img).
 */
#include <fcntl.h>
#include <asm/termbits.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files/tty.h"
#include "proc/proc.h"
#include "util/io.h"
#include "util/log.h"

#define TTYAUX_MAJOR  5
#define PTS_MAJOR     136 /* to 143 */
#define PTS_MAJOR_END 144

static bool is_ptmx(dev_t rdev)
{
	return major(rdev) == TTYAUX_MAJOR && minor(rdev) == 2;
}

static bool is_ctty(dev_t rdev)
{
	return major(rdev) == TTYAUX_MAJOR && minor(rdev) == 0;
}

static bool is_pts(dev_t rdev)
{
	return major(rdev) >= PTS_MAJOR && major(rdev) < PTS_MAJOR_END;
}

static bool tty_recognise(const struct fd_probe *p)
{
	dev_t rdev = p->st.st_rdev;

	return S_ISCHR(p->st.st_mode) && (is_ptmx(rdev) || is_ctty(rdev) || is_pts(rdev)) &&
	       !(p->flags & O_PATH);
}

struct ttys *ttys(struct op *op)
{
	struct ttys *ts = op->files->ttys;

	if (!ts && (ts = op->files->ttys = xzalloc(sizeof(*ts))))
		ts->terminal = -1;
	return ts;
}

struct tty *tty_find(struct op *op, uint32_t info_id)
{
	struct ttys *ts = ttys(op);

	for (size_t i = 0; ts && i < ts->nr; i++)
		if (ts->v[i].e->id == info_id)
			return &ts->v[i];
	return NULL;
}

struct tty *tty_add(struct op *op, TtyInfoEntry *e, bool master)
{
	struct ttys *ts = ttys(op);

	if (!ts || xgrow(&ts->v, &ts->cap, ts->nr, sizeof(*ts->v)))
		return NULL;
	ts->v[ts->nr] = (struct tty){ .e = e, .master = master, .fd = -1 };
	return &ts->v[ts->nr++];
}

void ttys_free(struct op *op)
{
	struct ttys *ts = op->files->ttys;

	if (!ts)
		return;
	for (size_t i = 0; i < ts->nr; i++) {
		close_safe(&ts->v[i].fd);
		tty_info_entry__free_unpacked(ts->v[i].e, NULL);
	}
	close_safe(&ts->terminal);
	free(ts->v);
	free(ts);
	op->files->ttys = NULL;
}

/* ---- dump ---- */

/* "tty_nr" and "tpgid" of /proc/PID/stat: the 7th and 8th field. */
static int task_terminal(struct task *t, dev_t *tty, pid_t *foreground)
{
	cleanup_free char *text = task_proc(t) < 0 ? NULL : read_file_at(t->proc, "stat", NULL);
	const char *s = text ? strrchr(text, ')') : NULL;
	int nr, pgid;

	if (!s || sscanf(s + 1, " %*c %*d %*d %*d %d %d", &nr, &pgid) != 2) {
		pr_err("Can't find the terminal in /proc/%d/stat", t->pid);
		return -1;
	}
	*tty = makedev(nr >> 8 & 0xfff, (nr & 0xff) | (nr >> 12 & 0xfff00));
	*foreground = pgid;
	return 0;
}

static pid_t image_pgid(struct op *op, pid_t pgid)
{
	struct task *t;

	for_each_task (t, op)
		if (getpgid(t->pid) == pgid)
			return t->pgid;
	return 0;
}

/* Whose controlling terminal is it, as far as the tree knows? */
static int dump_session(struct op *op, TtyInfoEntry *e, dev_t rdev)
{
	struct task *t;
	pid_t foreground;
	dev_t tty;

	for_each_live_task (t, op) {
		if (task_terminal(t, &tty, &foreground))
			return -1;
		if (tty != rdev)
			continue;
		e->sid = t->sid;
		e->pgrp = image_pgid(op, foreground);
		return 0;
	}
	return 0;
}

static TermiosEntry *termios_entry(const struct termios2 *k)
{
	TermiosEntry *e = NEW_MSG(TermiosEntry, termios_entry);

	if (!e || !(e->c_cc = xcalloc(TERMIOS_NCC, sizeof(*e->c_cc)))) {
		free(e);
		return NULL;
	}
	e->c_iflag = k->c_iflag;
	e->c_oflag = k->c_oflag;
	e->c_cflag = k->c_cflag;
	e->c_lflag = k->c_lflag;
	e->c_line = k->c_line;
	e->c_ispeed = k->c_ispeed;
	e->c_ospeed = k->c_ospeed;
	e->n_c_cc = TERMIOS_NCC;
	for (int i = 0; i < TERMIOS_NCC; i++)
		e->c_cc[i] = k->c_cc[i];
	return e;
}

/* A terminal that was hung up has no settings any more: then they are left out. */
static int dump_settings(const struct fd_probe *p, TtyInfoEntry *e)
{
	struct termios2 now;
	struct termios locked = { 0 };
	struct winsize size = { 0 };
	struct termios2 locked2 = { 0 };

	if (ioctl(p->lfd, TCGETS2, &now)) {
		if (errno == EIO)
			return 0;
		pr_perror("Can't get the settings of %s", probe_name(p));
		return -1;
	}
	if (ioctl(p->lfd, TIOCGLCKTRMIOS, &locked) || ioctl(p->lfd, TIOCGWINSZ, &size)) {
		pr_perror("Can't get the settings of %s", probe_name(p));
		return -1;
	}
	locked2.c_iflag = locked.c_iflag;
	locked2.c_oflag = locked.c_oflag;
	locked2.c_cflag = locked.c_cflag;
	locked2.c_lflag = locked.c_lflag;
	locked2.c_line = locked.c_line;
	memcpy(locked2.c_cc, locked.c_cc, TERMIOS_NCC);
	e->termios = termios_entry(&now);
	e->termios_locked = termios_entry(&locked2);
	e->winsize = NEW_MSG(WinsizeEntry, winsize_entry);
	if (!e->termios || !e->termios_locked || !e->winsize)
		return -1;
	e->winsize->ws_row = size.ws_row;
	e->winsize->ws_col = size.ws_col;
	e->winsize->ws_xpixel = size.ws_xpixel;
	e->winsize->ws_ypixel = size.ws_ypixel;
	return 0;
}

static int dump_info(struct op *op, const struct fd_probe *p, uint32_t id, bool master,
		     unsigned index)
{
	TtyInfoEntry *e;
	struct tty *tty;
	int value = 0;

	if (tty_find(op, id))
		return 0;
	e = NEW_MSG(TtyInfoEntry, tty_info_entry);
	tty = e ? tty_add(op, e, master) : NULL;
	if (!tty)
		return -1;
	tty->fd = fcntl(p->lfd, F_DUPFD_CLOEXEC, 3);
	e->id = id;
	e->type = is_ctty(p->st.st_rdev) ? TTY_TYPE__CTTY : TTY_TYPE__PTY;
	e->rdev = p->st.st_rdev;
	e->has_dev = e->has_uid = e->has_gid = true;
	e->dev = p->st.st_dev;
	e->uid = p->st.st_uid;
	e->gid = p->st.st_gid;
	if (e->type == TTY_TYPE__CTTY)
		return 0;
	e->pty = NEW_MSG(TtyPtyEntry, tty_pty_entry);
	if (!e->pty)
		return -1;
	e->pty->index = index;
	if (master && !ioctl(p->lfd, TIOCGPTLCK, &value))
		e->locked = value;
	if (master && !ioctl(p->lfd, TIOCGPKT, &value))
		e->packet_mode = value;
	if (!ioctl(p->lfd, TIOCGEXCL, &value))
		e->exclusive = value;
	return dump_settings(p, e) ||
			       dump_session(op, e,
					    master ? makedev(PTS_MAJOR + (index >> 8), index & 0xff)
						   : p->st.st_rdev)
		       ? -1
		       : 0;
}

/* The number of a pseudo-terminal. */
static int pty_index(const struct fd_probe *p, unsigned *index)
{
	int n;

	if (is_pts(p->st.st_rdev)) {
		*index = (major(p->st.st_rdev) - PTS_MAJOR) << 8 | minor(p->st.st_rdev);
		return 0;
	}
	if (ioctl(p->lfd, TIOCGPTN, &n)) {
		pr_perror("Can't get the number of %s", probe_name(p));
		return -1;
	}
	*index = n;
	return 0;
}

#define CTTY_INFO_ID (1U << 30)

static int tty_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	TtyFileEntry *e = f->entry->tty = NEW_MSG(TtyFileEntry, tty_file_entry);
	bool master = is_ptmx(p->st.st_rdev), ctty = is_ctty(p->st.st_rdev);
	struct file *reg = file_new(op, FD_TYPES__REG);
	unsigned index = 0;

	if (!e || !reg || !(e->fown = fown_dump(p)) || (!ctty && pty_index(p, &index)))
		return -1;
	/* the name of a terminal that was hung up is gone: no ghost is made of that */
	reg->entry->reg = NEW_MSG(RegFileEntry, reg_file_entry);
	if (!reg->entry->reg || !(reg->entry->reg->fown = fown_dump(p)) ||
	    !(reg->entry->reg->name = xstrdup(p->link)))
		return -1;
	reg->entry->reg->id = reg->id;
	reg->entry->reg->flags = p->flags;
	reg->entry->reg->has_mode = true;
	reg->entry->reg->mode = p->st.st_mode;
	e->id = f->id;
	e->flags = p->flags;
	e->has_regf_id = true;
	e->regf_id = reg->id;
	e->tty_info_id = ctty ? CTTY_INFO_ID : tty_info_id(index, master);
	return dump_info(op, p, e->tty_info_id, master, index);
}

/* Slaves whose master nobody in the tree has. */
static int check_master(struct op *op, const struct tty *tty)
{
	const TtyInfoEntry *e = tty->e;

	if (tty->master || opts.shell_job)
		return 0;
	if (e->type == TTY_TYPE__CTTY) {
		/* it means the terminal of the session, which must be ours */
		for (size_t i = 0; i < ttys(op)->nr; i++)
			if (ttys(op)->v[i].master)
				return 0;
		pr_err("A descriptor of /dev/tty means a terminal from outside of the tree: "
		       "--shell-job lets restore give it criu's");
		return -1;
	}
	if (!e->termios || tty_find(op, tty_info_id(e->pty->index, true)))
		return 0;
	pr_err("Terminal /dev/pts/%u belongs to somebody outside of the tree (a shell's job?): "
	       "--shell-job lets restore give the tasks criu's terminal",
	       e->pty->index);
	return -1;
}

static int ttys_dump_all(struct op *op)
{
	struct ttys *ts = op->files->ttys;
	struct image *img;
	int ret = 0;

	if (!ts || !ts->nr)
		return 0;
	img = image_create(op->images, IMG_TTY_INFO, 0);
	if (!img)
		return -1;
	for (size_t i = 0; i < ts->nr && !ret; i++)
		ret = check_master(op, &ts->v[i]) || image_write(img, &ts->v[i].e->base);
	return image_close(img) || ret || tty_data_dump(op) ? -1 : 0;
}

const struct file_kind tty_kind = {
	.name = "terminal",
	.type = FD_TYPES__TTY,
	.recognise = tty_recognise,
	.dump = tty_dump,
	.dump_all = ttys_dump_all,
	.collect = tty_collect,
	.open = tty_open,
	.opened = ttys_opened,
	.finish = fown_finish,
	.free = ttys_free,
};
