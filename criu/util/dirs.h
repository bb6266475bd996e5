/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two directories of a run, opened by criu/cli/dirs.c before a story begins: images (-D) and work
 * (-W: log, statistics, pidfile, lazy-pages.socket; the images directory by default), which is also the
 * current directory. Both descriptors are close-on-exec and stay open; they may be the same directory.
 */
#ifndef CRIU_UTIL_DIRS_H
#define CRIU_UTIL_DIRS_H

struct dirs {
	int images, work; /* -1: not opened */
};
extern struct dirs dirs;

/*
 * Writes PID to --pidfile, in the work directory; the file must not exist yet. Without --pidfile: nothing. -1: logged.
 * restore calls it with the root task's pid before the tasks run, the servers with their own when they are ready.
 */
int write_pidfile(int pid);

#endif
