// SPDX-License-Identifier: GPL-2.0-only
#include "util/log.h"
#include "util/io.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum log_level log_level = LOG_WARN;
void (*log_before_stderr)(void);

#define LINE_MAX_LEN 2048
#define KEPT	     4

static int fd = STDERR_FILENO;
static int with_pid;
static char kept[KEPT][LINE_MAX_LEN];
static unsigned nr_errors;
static char first[LINE_MAX_LEN];
static struct timespec start;

int log_init(int dirfd, const char *path)
{
	int new = STDERR_FILENO;

	clock_gettime(CLOCK_MONOTONIC, &start);
	if (path && strcmp(path, "-")) {
		new = openat(dirfd, path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC,
			     0600);
		if (new < 0) {
			pr_perror("Can't create the log file %s", path);
			return -1;
		}
	}
	log_set_fd(new);
	return 0;
}

int log_fd(void)
{
	return fd;
}

void log_set_fd(int new)
{
	if (fd > STDERR_FILENO && fd != new)
		close(fd);
	fd = new;
}

void log_set_pid(int on)
{
	with_pid = on;
}

const char *log_first_error(void)
{
	return nr_errors ? first : NULL;
}

void log_forget_errors(void)
{
	nr_errors = 0;
}

void log_finish(int failed)
{
	unsigned i = nr_errors > KEPT ? nr_errors - KEPT : 0;

	if (!failed || fd == STDERR_FILENO || log_level == LOG_SILENT)
		return;
	for (; i < nr_errors; i++)
		dprintf(STDERR_FILENO, "%s", kept[i % KEPT]);
}

void log_print(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "", "Error: ", "Warning: ", "", "" };
	int saved_errno = errno;
	char line[LINE_MAX_LEN];
	size_t head = 0, text, len;
	va_list ap;

	if (log_level >= LOG_INFO) {
		struct timespec now;
		long us;

		clock_gettime(CLOCK_MONOTONIC, &now);
		us = (now.tv_sec - start.tv_sec) * 1000000L + (now.tv_nsec - start.tv_nsec) / 1000;
		head = snprintf(line, sizeof(line), "(%02ld.%06ld) ", us / 1000000, us % 1000000);
	}
	if (with_pid)
		head += snprintf(line + head, sizeof(line) - head, "%6d: ", getpid());
	len = head + snprintf(line + head, sizeof(line) - head, "%s", names[level]);
	text = len;
	va_start(ap, fmt);
	errno = saved_errno; /* %m */
	len += vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	if (line[len - 1] != '\n')
		line[len++] = '\n';
	line[len] = 0;

	if (level == LOG_ERROR) {
		if (!nr_errors) { /* without time, "Error: " and newline */
			memcpy(first, line + text, len - text);
			first[len - text - 1] = 0;
		}
		memcpy(kept[nr_errors++ % KEPT], line, len + 1);
	}
	if (log_level >= level) {
		/* a log that cannot be written is no reason to fail */
		if (log_before_stderr && fd == STDERR_FILENO)
			log_before_stderr();
		write_full(fd, line, len);
	}
	errno = saved_errno;
}
