// SPDX-License-Identifier: GPL-2.0-only
/*
 * The small things: name, personality, robust list, address to clear at exit, signal at the parent's death, subreaper, membarrier,
 * OOM score, login uid (prctl(2), personality(2), get_robust_list(2), set_tid_address(2), membarrier(2)).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "proc/text.h"
#include "task/parts.h"
#include "util/io.h"
#include "util/kernel.h"
#include "util/log.h"
#include "util/xmalloc.h"

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif
#define MEMBARRIER_GET_REGISTRATIONS (1 << 9) /* Linux 6.3 */
#define COMM_LEN		     16
#define NO_LOGINUID		     UINT32_MAX

void prctl_ask(struct part *w)
{
	struct puppet *p = w->p;
	uint64_t remote;

	remote = prog_data(p, sizeof(*w->clear_tid), &w->clear_tid);
	prog_add(p, RC_STOP, __NR_prctl, PR_GET_TID_ADDRESS, remote, 0, 0, 0);
	remote = prog_data(p, sizeof(*w->pdeath_signal), &w->pdeath_signal);
	prog_add(p, RC_STOP, __NR_prctl, PR_GET_PDEATHSIG, remote, 0, 0, 0);
	remote = prog_data(p, COMM_LEN, &w->comm);
	prog_add(p, RC_STOP, __NR_prctl, PR_GET_NAME, remote, 0, 0, 0);
	w->securebits_call = prog_add(p, RC_STOP, __NR_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
	if (!w->leader)
		return;
	remote = prog_data(p, sizeof(*w->subreaper), &w->subreaper);
	prog_add(p, RC_STOP, __NR_prctl, PR_GET_CHILD_SUBREAPER, remote, 0, 0, 0);
	w->ldt_call = -1;
#ifdef __NR_modify_ldt /* x86 */
	w->ldt_call = prog_add(p, 0, __NR_modify_ldt, 0, prog_data(p, 8, NULL), 8);
#endif
	w->membarrier_call = -1;
	if (kernel_has(K_MEMBARRIER_GET_REGISTRATIONS))
		w->membarrier_call = prog_add(p, RC_STOP, __NR_membarrier,
					      MEMBARRIER_GET_REGISTRATIONS, 0, 0);
}

static int leader_told(struct part *w)
{
	TaskCoreEntry *tc = w->th->core->tc;
	int64_t mask = w->membarrier_call < 0 ? 0 : prog_ret(w->p, w->membarrier_call);

	if (w->ldt_call >= 0 && prog_ret(w->p, w->ldt_call) > 0) {
		pr_err("Task %d has segments of its own in a local descriptor table "
		       "(modify_ldt(2)): not supported",
		       w->t->pid);
		return -1;
	}
	tc->comm = xstrdup(w->comm);
	tc->has_child_subreaper = true;
	tc->child_subreaper = *w->subreaper;
	if (mask) {
		tc->has_membarrier_registration_mask = true;
		tc->membarrier_registration_mask = mask;
	}
	return tc->comm ? 0 : -1;
}

int prctl_told(struct part *w)
{
	CoreEntry *core = w->th->core;
	ThreadCoreEntry *tc = core->thread_core;

	*arch_clear_tid_addr(core) = *w->clear_tid;
	if (*w->pdeath_signal) {
		tc->has_pdeath_sig = true;
		tc->pdeath_sig = *w->pdeath_signal;
	}
	w->comm[COMM_LEN - 1] = 0;
	tc->comm = xstrdup(w->comm);
	if (!tc->comm)
		return -1;
	return w->leader ? leader_told(w) : 0;
}

/* A small number in a file of the task below /proc. 1: there is no such file. */
static int read_number(struct part *w, const char *file, bool hex, int64_t *v)
{
	char path[64];
	cleanup_free char *text = read_file_at(part_proc(w->t), part_path(w, file, path), NULL);
	const char *p = text;

	if (!text && errno == ENOENT)
		return 1;
	if (!text) {
		pr_perror("task %d: cannot read /proc/%d/%s", w->t->pid, w->t->pid, file);
		return -1;
	}
	if (hex ? take_hex(&p, (uint64_t *)v) : take_signed(&p, v))
		return 0;
	pr_err("/proc/%d/%s is not understood: %.40s", w->t->pid, file, text);
	return -1;
}

static int dump_numbers(struct part *w)
{
	TaskCoreEntry *tc = w->th->core->tc;
	int64_t v;
	int ret;

	if (read_number(w, "personality", true, &v))
		return -1;
	tc->personality = v;
	ret = read_number(w, "loginuid", false, &v);
	if (ret < 0)
		return -1;
	tc->has_loginuid = !ret;
	tc->loginuid = ret ? 0 : v;
	ret = read_number(w, "oom_score_adj", false, &v);
	if (ret < 0)
		return -1;
	tc->has_oom_score_adj = !ret;
	tc->oom_score_adj = ret ? 0 : v;
	return 0;
}

int prctl_dump(struct part *w)
{
	ThreadCoreEntry *tc = w->th->core->thread_core;
	uint64_t list;
	size_t len;

	if (syscall(__NR_get_robust_list, w->th->tid, &list, &len)) {
		pr_perror("task %d, thread %d: cannot read its robust list", w->t->pid, w->th->tid);
		return -1;
	}
	tc->futex_rla = list;
	tc->futex_rla_len = len;
	return w->leader ? dump_numbers(w) : 0;
}

static void restore_process(struct part *w)
{
	const TaskCoreEntry *tc = w->th->core->tc;

	prog_add(w->p, RC_STOP, __NR_personality, tc->personality);
	if (tc->child_subreaper)
		prog_add(w->p, RC_STOP, __NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	for (int bit = 0; bit < 31; bit++)
		if (tc->membarrier_registration_mask >> bit & 1)
			prog_add(w->p, RC_STOP, __NR_membarrier, 1 << bit, 0, 0);
}

int prctl_restore(struct part *w)
{
	const CoreEntry *core = w->th->core;
	const ThreadCoreEntry *tc = core->thread_core;
	char comm[COMM_LEN] = { 0 };

	if (part_room(w, 40, 2 * COMM_LEN))
		return -1;
	prog_add(w->p, RC_STOP, __NR_set_tid_address, *arch_clear_tid_addr(core));
	if (tc->futex_rla_len)
		prog_add(w->p, RC_STOP, __NR_set_robust_list, tc->futex_rla, tc->futex_rla_len);
	strncpy(comm, tc->comm ? tc->comm : w->leader ? core->tc->comm : "", COMM_LEN - 1);
	if (*comm)
		prog_add(w->p, RC_STOP, __NR_prctl, PR_SET_NAME, prog_buf(w->p, comm, COMM_LEN), 0,
			 0, 0);
	if (w->leader)
		restore_process(w);
	return 0;
}

/* From outside. A score that may not be lowered is no reason to fail. */
static int restore_oom_score(struct part *w)
{
	const TaskCoreEntry *tc = w->th->core->tc;
	char path[64], text[16];
	cleanup_close int fd = -1;
	int64_t now;

	if (!tc->has_oom_score_adj || read_number(w, "oom_score_adj", false, &now) ||
	    now == tc->oom_score_adj)
		return 0;
	snprintf(text, sizeof(text), "%d", tc->oom_score_adj);
	fd = openat(part_proc(w->t), part_path(w, "oom_score_adj", path), O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write_full(fd, text, strlen(text)))
		pr_warn("task %d: its OOM score stays at %ld instead of %d: %s", w->t->vpid, now,
			tc->oom_score_adj, strerror(errno));
	return 0;
}

/* Only a task itself may set its login uid. */
static int restore_loginuid(struct part *w)
{
	const TaskCoreEntry *tc = w->th->core->tc;
	char text[16];
	int64_t now;
	int fd;

	if (!tc->has_loginuid || tc->loginuid == NO_LOGINUID ||
	    read_number(w, "loginuid", false, &now) || now == tc->loginuid)
		return 0;
	snprintf(text, sizeof(text), "%u", tc->loginuid);
	if (part_room(w, 3, 64))
		return -1;
	fd = prog_add(w->p, 0, __NR_openat, AT_FDCWD, prog_str(w->p, "/proc/self/loginuid"),
		      O_WRONLY);
	prog_add(w->p, 0, __NR_write, RESULT(fd), prog_str(w->p, text), strlen(text));
	prog_add(w->p, 0, __NR_close, RESULT(fd));
	return 0;
}

int prctl_restore_late(struct part *w)
{
	const ThreadCoreEntry *tc = w->th->core->thread_core;

	if (part_room(w, 1, 0))
		return -1;
	/* the root's parent is criu, whose end means nothing to it */
	if (tc->has_pdeath_sig && tc->pdeath_sig && w->th->task->parent)
		prog_add(w->p, RC_STOP, __NR_prctl, PR_SET_PDEATHSIG, tc->pdeath_sig, 0, 0, 0);
	return 0;
}

int prctl_restore_proc(struct part *w)
{
	if (!w->leader)
		return 0;
	return restore_oom_score(w) || restore_loginuid(w) ? -1 : 0;
}
