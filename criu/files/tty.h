/* SPDX-License-Identifier: GPL-2.0-only */
/* Terminals: what tty.c (dump) and tty_open.c (restore) share. Used inside files/ only. */
#ifndef CRIU_FILES_TTY_H
#define CRIU_FILES_TTY_H

#include "files/kinds.h"

#define TERMIOS_NCC 19 /* the kernel's; glibc has more */

struct tty { /* one per tty_info_entry */
	TtyInfoEntry *e;
	bool master; /* the other end of a pseudo-terminal */
	int fd;	     /* dump: a copy; restore: a descriptor of it, once made */
};

struct ttys {
	struct tty *v;
	size_t nr, cap;
	int terminal; /* restore: criu's own terminal, for --shell-job; -1: not looked for yet */
};

struct ttys *ttys(struct op *op);
struct tty *tty_find(struct op *op, uint32_t info_id);
struct tty *tty_add(struct op *op, TtyInfoEntry *e, bool master);
/* The ids of a pseudo-terminal's two ends. */
static inline uint32_t tty_info_id(uint32_t index, bool master)
{
	return index << 1 | master;
}
void ttys_free(struct op *op);

/* The master with the number of slave S; NULL: it is outside of the tree. */
struct tty *tty_master(struct op *op, const struct tty *s);

int tty_data_dump(struct op *op);
int tty_data_restore(struct op *op);

int tty_collect(struct op *op);
int tty_open(struct op *op, struct file *f);
int ttys_opened(struct op *op);

#endif
