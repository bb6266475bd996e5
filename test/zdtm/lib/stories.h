/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stories that several tests tell, each of another thing: the test names the thing, and the story is all of its main(), from test_init() to the verdict.
 */
#ifndef ZDTM_STORIES_H
#define ZDTM_STORIES_H

#include "zdtm.h"

/* The interval timer WHICH goes on: the remaining time, the interval, and it fires, with SIGNO. */
__attribute__((noreturn)) void itimer_goes_on(int argc, char **argv, int which, int signo);

/*
 * A lock on a file is still held, against who opens the file anew, and can be given back. LOCK: takes (ON) or gives back a lock on the description
 * FD, without waiting; as fcntl(2).
 */
__attribute__((noreturn)) void file_lock_is_kept(int argc, char **argv,
						 int (*lock)(int fd, bool on));

/* A child in a namespace of its own, made with FLAG and called NAME in /proc/PID/ns: for dump to refuse. It is unharmed. */
__attribute__((noreturn)) void own_namespace_is_refused(int argc, char **argv, unsigned long flag,
							const char *name);

#endif
