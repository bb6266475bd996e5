/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log: one line per message, to the log file (-o) or to stderr. Called by everybody.
 *
 * Levels are those of -v: 1 errors, 2 warnings (the default), 3 info, 4 debug. From level 3 on
 * lines carry "(seconds.micros)". The last errors of a run are kept and repeated on stderr when
 * the log goes to a file, so that a failed command says why without -v4 (log_finish()).
 *
 * Convention of the whole program: a function that returns -1 has logged why, once, at the place
 * that knows most. Callers pass the -1 on and add nothing, unless they know more.
 */
#ifndef CRIU_UTIL_LOG_H
#define CRIU_UTIL_LOG_H

#include <errno.h>
#include <string.h>

enum log_level { LOG_SILENT, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern enum log_level log_level;

/* Sends the log to PATH inside DIRFD (created, truncated); NULL: to stderr. -1: the reason is on stderr. */
int log_init(int dirfd, const char *path);
/* The log's descriptor, for children that must keep it. */
int log_fd(void);
/* Moves the log to another descriptor number (it is taken over); used where numbers must be free. */
void log_set_fd(int fd);
/* Prefixes each line with the pid (--log-pid, and helpers that share the log). */
void log_set_pid(int on);
/* At the end of a failed run whose log is a file: repeats the last errors on stderr. */
void log_finish(int failed);
/* The first error line of this run, or NULL: goes into RPC answers (cr_errmsg). */
const char *log_first_error(void);
/* A new request begins: earlier errors are none of its own. */
void log_forget_errors(void);

/* Called before a line goes to stderr: takes away what is drawn on its last line. NULL: nothing is. */
extern void (*log_before_stderr)(void);

void log_print(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define pr_at(level, ...)                              \
	do {                                           \
		if (log_level >= (level))              \
			log_print(level, __VA_ARGS__); \
	} while (0)
#define pr_debug(...) pr_at(LOG_DEBUG, __VA_ARGS__)
#define pr_info(...)  pr_at(LOG_INFO, __VA_ARGS__)
#define pr_warn(...)  pr_at(LOG_WARN, __VA_ARGS__)
/* Errors are always given to the log, which remembers them also at -v0. No trailing newline in any message. */
#define pr_err(...) log_print(LOG_ERROR, __VA_ARGS__)
/* An error with errno's text after it. */
#define pr_perror(fmt, ...) log_print(LOG_ERROR, fmt ": %s", ##__VA_ARGS__, strerror(errno))

#endif
