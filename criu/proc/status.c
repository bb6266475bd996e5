// SPDX-License-Identifier: GPL-2.0-only
#include "proc/proc.h"

#include <stdlib.h>

#include "proc/text.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* Up to MAX decimal numbers of a line; how many, or -1 where something else is there or there are more. */
static int take_list(const char *p, uint32_t *v, int max)
{
	int nr = 0;
	uint64_t x;

	for (skip_blanks(&p); *p && *p != '\n'; skip_blanks(&p)) {
		if (nr == max || !take_dec(&p, &x) || x > UINT32_MAX)
			return -1;
		v[nr++] = x;
	}
	return nr;
}

static int take_groups(const char *p, struct proc_status *st)
{
	int nr = 0;

	for (const char *c = p; *c && *c != '\n'; c++)
		nr += *c == ' ' || *c == '\t';
	free(st->groups);
	st->groups = xcalloc(nr + 1, sizeof(*st->groups));
	if (!st->groups)
		return -1;
	nr = take_list(p, st->groups, nr + 1);
	st->nr_groups = nr < 0 ? 0 : nr;
	return nr < 0 ? -1 : 0;
}

enum value { V_HEX, V_DEC };
static const struct {
	const char *key;
	enum value kind;
	size_t offset, size;
} numbers[] = {
#define NUMBER(key, kind, field)                                 \
	{                                                        \
		key, kind, offsetof(struct proc_status, field),  \
			sizeof(((struct proc_status *)0)->field) \
	}
	NUMBER("TracerPid", V_DEC, tracer),
	NUMBER("Threads", V_DEC, threads),
	NUMBER("SigPnd", V_HEX, sig_pnd),
	NUMBER("ShdPnd", V_HEX, shd_pnd),
	NUMBER("SigBlk", V_HEX, sig_blk),
	NUMBER("SigIgn", V_HEX, sig_ign),
	NUMBER("SigCgt", V_HEX, sig_cgt),
	NUMBER("CapInh", V_HEX, cap_inh),
	NUMBER("CapPrm", V_HEX, cap_prm),
	NUMBER("CapEff", V_HEX, cap_eff),
	NUMBER("CapBnd", V_HEX, cap_bnd),
	NUMBER("CapAmb", V_HEX, cap_amb),
	NUMBER("NoNewPrivs", V_DEC, no_new_privs),
	NUMBER("Seccomp", V_DEC, seccomp),
	NUMBER("Seccomp_filters", V_DEC, seccomp_filters),
};

static int take_number(const char *line, struct proc_status *st)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		const char *p = after_key(line, numbers[i].key);
		uint64_t v;

		if (!p)
			continue;
		if (numbers[i].kind == V_HEX ? !take_hex(&p, &v) : !take_dec(&p, &v))
			return -1;
		/* little endian: the low bytes are the value */
		memcpy((char *)st + numbers[i].offset, &v, numbers[i].size);
		return 0;
	}
	return 0;
}

static int take_umask(const char *p, struct proc_status *st)
{
	for (; *p >= '0' && *p <= '7'; p++)
		st->umask = st->umask << 3 | (*p - '0');
	st->has_umask = true;
	return *p == '\n' ? 0 : -1;
}

static int take_line(const char *line, struct proc_status *st)
{
	const char *p;

	if ((p = after_key(line, "State"))) {
		st->state = *p;
		return 0;
	}
	if ((p = after_key(line, "Umask")))
		return take_umask(p, st);
	if ((p = after_key(line, "Uid")))
		return take_list(p, st->uid, 4) == 4 ? 0 : -1;
	if ((p = after_key(line, "Gid")))
		return take_list(p, st->gid, 4) == 4 ? 0 : -1;
	if ((p = after_key(line, "Groups")))
		return take_groups(p, st);
	if ((p = after_key(line, "NSpid"))) {
		int nr = take_list(p, (uint32_t *)st->nspid, PROC_MAX_NSPID);

		st->nr_nspid = nr < 0 ? 0 : nr;
		return nr < 1 ? -1 : 0;
	}
	return take_number(line, st);
}

int proc_parse_status(const char *text, struct proc_status *st)
{
	memset(st, 0, sizeof(*st));
	for (const char *line = text; line; line = next_line(line))
		if (take_line(line, st)) {
			pr_err("/proc/PID/status is not understood: %.*s", (int)strcspn(line, "\n"),
			       line);
			proc_status_free(st);
			return -1;
		}
	if (!st->state) {
		pr_err("/proc/PID/status has no State line");
		proc_status_free(st);
		return -1;
	}
	return 0;
}

int proc_read_status(int dirfd, const char *path, struct proc_status *st)
{
	cleanup_free char *text = read_file_at(dirfd, path, NULL);

	if (!text) {
		pr_perror("cannot read %s of a task", path);
		return -1;
	}
	return proc_parse_status(text, st);
}

void proc_status_free(struct proc_status *st)
{
	free(st->groups);
	st->groups = NULL;
	st->nr_groups = 0;
}
