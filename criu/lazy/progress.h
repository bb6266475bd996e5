/* SPDX-License-Identifier: GPL-2.0-only */
/* The line on the terminal that shows how far lazy-pages is. Only where stderr is a terminal and -v0 was not given. */
#ifndef CRIU_LAZY_PROGRESS_H
#define CRIU_LAZY_PROGRESS_H

#include <stdbool.h>

struct history;
struct lazyd;

/* Before the first worker: decides whether there is a line. */
void progress_init(struct history *h);
/* Draws it anew, not more often than five times a second. */
void progress_draw(struct lazyd *d);
/* How long the loop may wait, in ms, before the line would be wrong; -1: for ever. */
int progress_wait_ms(void);
/* Takes it away. Messages on stderr do so by themselves. */
void progress_clear(void);

#endif
