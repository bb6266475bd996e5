// SPDX-License-Identifier: GPL-2.0-only
#include "proc/proc.h"

#include "proc/text.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* fields as numbered in proc(5), from 4 (after the state) on */
#define FIRST_FIELD 4
#define LAST_FIELD  52

int proc_parse_stat(const char *text, struct proc_stat *st)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')'), *p = text;
	int64_t pid;
	uint64_t f[LAST_FIELD + 1] = { 0 };

	memset(st, 0, sizeof(*st));
	if (!open || !close || close < open || (size_t)(close - open) > sizeof(st->comm) ||
	    !take_signed(&p, &pid) || close[1] != ' ' || !close[2] || close[3] != ' ')
		goto damaged;
	st->pid = pid;
	memcpy(st->comm, open + 1, close - open - 1);
	st->state = close[2];
	p = close + 3;
	for (int i = FIRST_FIELD; i <= LAST_FIELD && *p == ' '; i++) {
		int64_t v;

		p++;
		if (*p == '-' ? !take_signed(&p, &v) : !take_dec(&p, (uint64_t *)&v))
			goto damaged;
		f[i] = v;
	}
	if (*p != '\n' && *p)
		goto damaged;

	st->ppid = f[4];
	st->pgrp = f[5];
	st->session = f[6];
	st->flags = f[9];
	st->nice = f[19];
	st->num_threads = f[20];
	st->start_time = f[22];
	st->start_code = f[26];
	st->end_code = f[27];
	st->start_stack = f[28];
	st->exit_signal = f[38];
	st->processor = f[39];
	st->start_data = f[45];
	st->end_data = f[46];
	st->start_brk = f[47];
	st->arg_start = f[48];
	st->arg_end = f[49];
	st->env_start = f[50];
	st->env_end = f[51];
	st->exit_code = f[52];
	return 0;
damaged:
	pr_err("/proc/PID/stat is not understood: %.200s", text);
	return -1;
}

int proc_read_stat(int dirfd, const char *path, struct proc_stat *st)
{
	cleanup_free char *text = read_file_at(dirfd, path, NULL);

	if (!text) {
		pr_perror("cannot read %s of a task", path);
		return -1;
	}
	return proc_parse_stat(text, st);
}
