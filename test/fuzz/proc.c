// SPDX-License-Identifier: GPL-2.0-only
/* /proc text and vDSO images: the first byte says which parser gets the rest. What they give must be inside of what they got. */
#include "fuzz.h"
#include "proc/proc.h"
#include "util/log.h"
#include "vdso.h"

static char *text_begin, *text_end;

static void inside(const char *s)
{
	if (s < text_begin || s + strlen(s) > text_end)
		abort();
}

static int see_vma(const struct proc_vma *v, void *arg)
{
	if (v->start >= v->end)
		abort();
	inside(v->path);
	return 0;
}

static int see_mount(const struct proc_mount *m, void *arg)
{
	inside(m->root);
	inside(m->mountpoint);
	inside(m->options);
	inside(m->fstype);
	inside(m->source);
	inside(m->super_options);
	return 0;
}

static void status(const char *text)
{
	struct proc_status st;

	if (proc_parse_status(text, &st))
		return;
	if (st.nr_nspid > PROC_MAX_NSPID)
		abort();
	for (unsigned i = 0; i < st.nr_groups; i++)
		if (st.groups[i] == UINT32_MAX && !text)
			abort();
	proc_status_free(&st);
}

static void lists(const char *text)
{
	struct proc_timer *timers;
	pid_t *pids;
	size_t nr;

	if (!proc_parse_timers(text, &timers, &nr))
		free(timers);
	if (!proc_parse_children(text, &pids, &nr))
		free(pids);
}

static void vdso(const char *image, size_t len)
{
	struct vdso_patch p[VDSO_FUNCTIONS];
	struct vdso_symbols s;

	if (vdso_parse(image, len, &s))
		return;
	for (int i = 0; i < VDSO_FUNCTIONS; i++)
		if ((size_t)s.f[i].offset + s.f[i].room > len)
			abort();
	vdso_plan_jumps(&s, 0x7fff00000000, &s, 0x1000, p);
}

static void parse(uint8_t which, char *text, size_t len)
{
	struct proc_limit limits[PROC_NR_LIMITS];
	struct proc_timens ns;
	struct proc_stat st;

	switch (which % 8) {
	case 0:
		proc_parse_maps(text, see_vma, NULL);
		break;
	case 1:
		proc_parse_smaps(text, see_vma, NULL);
		break;
	case 2:
		proc_parse_mountinfo(text, see_mount, NULL);
		break;
	case 3:
		status(text);
		break;
	case 4:
		proc_parse_stat(text, &st);
		break;
	case 5:
		lists(text);
		break;
	case 6:
		proc_parse_limits(text, limits);
		proc_parse_timens(text, &ns);
		break;
	case 7:
		vdso(text, len);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_level = LOG_SILENT;
	if (!size)
		return 0;
	text_begin = malloc(size);
	text_end = text_begin + size - 1;
	memcpy(text_begin, data + 1, size - 1);
	*text_end = 0;
	parse(data[0], text_begin, size - 1);
	free(text_begin);
	return 0;
}
