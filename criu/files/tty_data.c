// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was written into a pseudo-terminal and not read yet, in either direction. There is no way to look at it: it is read, saved, and
 * written again through the other end, with the settings raw meanwhile, so that nothing is echoed or translated twice.
 * Image: tty-data.img.
 */
#include <asm/termbits.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "files/tty.h"
#include "util/io.h"
#include "util/log.h"

#define MAX_DATA (1 << 16)

/* Both ends take and give bytes as they are. SAVED: what to set again. */
static int make_raw(int fd, struct termios2 *saved)
{
	struct termios2 raw;

	if (ioctl(fd, TCGETS2, saved))
		return -1;
	raw = *saved;
	raw.c_iflag = 0;
	raw.c_oflag &= ~OPOST;
	raw.c_lflag &= ~(ICANON | ECHO | ECHONL | ISIG | IEXTEN);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	return ioctl(fd, TCSETS2, &raw);
}

/* Reads LEN bytes from FD and writes them into OTHER, from where they come back to FD. */
static int read_and_put_back(int fd, int other, bool packets, char *buf, int len)
{
	struct termios2 saved;
	int ret = -1, off = 0;

	if (packets && ioctl(fd, TIOCPKT, &off))
		return -1;
	if (!make_raw(fd, &saved)) {
		/* settings may have changed how much can be read */
		ssize_t n = read(fd, buf, MAX_DATA);

		if (n > 0 && !write_full(other, buf, n))
			ret = n;
		if (ioctl(fd, TCSETS2, &saved))
			ret = -1;
	}
	off = 1;
	return packets && ioctl(fd, TIOCPKT, &off) ? -1 : ret;
}

static int dump_one(struct op *op, struct tty *tty, struct image **img)
{
	struct tty *other = tty_find(op, tty_info_id(tty->e->pty->index, !tty->master));
	TtyDataEntry e = TTY_DATA_ENTRY__INIT;
	cleanup_close int peer = -1;
	cleanup_free char *buf = NULL;
	int len = 0, n;

	if (ioctl(tty->fd, FIONREAD, &len) || !len || (!tty->master && !other))
		return 0;
	if (!other)
		peer = ioctl(tty->fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	buf = xmalloc(MAX_DATA);
	if (!buf)
		return -1;
	n = read_and_put_back(tty->fd, other ? other->fd : peer, tty->e->packet_mode, buf, len);
	if (n < 0) {
		pr_perror("Can't save the %d bytes that wait in the %s of /dev/pts/%u", len,
			  tty->master ? "master" : "slave", tty->e->pty->index);
		return -1;
	}
	if (!*img)
		*img = image_create(op->images, IMG_TTY_DATA, 0);
	if (!*img)
		return -1;
	e.tty_id = tty->e->id;
	e.data.data = (uint8_t *)buf;
	e.data.len = n;
	return image_write(*img, &e.base);
}

int tty_data_dump(struct op *op)
{
	struct ttys *ts = op->files->ttys;
	struct image *img = NULL;
	int ret = 0;

	for (size_t i = 0; i < ts->nr && !ret; i++)
		if (ts->v[i].e->type == TTY_TYPE__PTY && ts->v[i].e->termios)
			ret = dump_one(op, &ts->v[i], &img);
	return image_close(img) || ret ? -1 : 0;
}

/* ---- restore: before the settings ---- */

/* Into the end that reads: through the other one, which is made for that where no task has it. */
static int put(struct op *op, const TtyDataEntry *e, struct tty *tty)
{
	struct tty *master = tty->master ? tty : tty_master(op, tty);
	cleanup_close int slave = -1;
	struct termios2 fresh;
	int fd;

	if (!master || master->fd < 0)
		return 0; /* an outside terminal's, or nobody opened it */
	fd = master->fd;
	if (tty->master)
		fd = slave = ioctl(master->fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || make_raw(fd, &fresh) || write_full(fd, e->data.data, e->data.len)) {
		pr_perror("Can't put %zu bytes back into terminal %u", e->data.len, e->tty_id);
		return -1;
	}
	return 0;
}

int tty_data_restore(struct op *op)
{
	struct image *img = image_open(op->images, IMG_TTY_DATA, 0, false);
	TtyDataEntry *e;
	int ret = 0;

	if (!img)
		return errno == ENOENT ? 0 : -1;
	while (!ret && (ret = image_read_as(img, &e)) > 0) {
		struct tty *tty = tty_find(op, e->tty_id);

		if (tty)
			ret = put(op, e, tty);
		else
			pr_err("tty-data.img: data of terminal %u, which is not there", e->tty_id);
		ret = tty ? ret : -1;
		tty_data_entry__free_unpacked(e, NULL);
	}
	image_close(img);
	return ret;
}
