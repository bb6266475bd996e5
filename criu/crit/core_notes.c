// SPDX-License-Identifier: GPL-2.0-only
/*
 * The notes of a core file, in the kernel's order: of every thread its registers (NT_PRSTATUS), and
 * FPU (NT_FPREGSET, NT_X86_XSTATE); after the first thread's what belongs to the process. Of the XSAVE state, the parts up to
 * AVX are written: their places are the same on every processor.
 */
#include <elf.h>
#include <stdio.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "core_dump.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define XSAVE_LEN    832 /* x87, SSE, header, AVX */
#define XSAVE_XCR0   464 /* where gdb looks for the set of parts */
#define XSAVE_HEADER 512
#define XSAVE_YMM    576

static int put(struct core_notes *n, const void *buf, size_t len)
{
	size_t padded = round_up(len, (size_t)4);

	if (!padded)
		return 0;
	if (xgrow(&n->buf, &n->cap, n->len + padded, 1))
		return -1;
	memcpy(n->buf + n->len, buf, len);
	memset(n->buf + n->len + len, 0, padded - len);
	n->len += padded;
	return 0;
}

static int note(struct core_notes *n, uint32_t type, const char *name, const void *buf, size_t len)
{
	Elf64_Nhdr h = { .n_namesz = strlen(name) + 1, .n_descsz = len, .n_type = type };

	return put(n, &h, sizeof(h)) || put(n, name, h.n_namesz) || put(n, buf, len) ? -1 : 0;
}

/* ---- registers ---- */

static int put_prstatus(const struct core_task *t, uint32_t tid, const CoreEntry *core,
			struct core_notes *n)
{
	const UserX86RegsEntry *r = core->thread_info->gpregs;
	struct elf_prstatus p = {
		.pr_pid = tid,
		.pr_ppid = t->task->ppid,
		.pr_pgrp = t->task->pgid,
		.pr_sid = t->task->sid,
		.pr_fpvalid = core->thread_info->fpregs != NULL,
		.pr_sighold = core->thread_core ? core->thread_core->blk_sigset : 0,
	};
	struct user_regs_struct regs = {
		.r15 = r->r15,
		.r14 = r->r14,
		.r13 = r->r13,
		.r12 = r->r12,
		.rbp = r->bp,
		.rbx = r->bx,
		.r11 = r->r11,
		.r10 = r->r10,
		.r9 = r->r9,
		.r8 = r->r8,
		.rax = r->ax,
		.rcx = r->cx,
		.rdx = r->dx,
		.rsi = r->si,
		.rdi = r->di,
		.orig_rax = r->orig_ax,
		.rip = r->ip,
		.cs = r->cs,
		.eflags = r->flags,
		.rsp = r->sp,
		.ss = r->ss,
		.ds = r->ds,
		.es = r->es,
		.fs = r->fs,
		.gs = r->gs,
		.fs_base = r->fs_base,
		.gs_base = r->gs_base,
	};

	memcpy(&p.pr_reg, &regs, sizeof(regs));
	return note(n, NT_PRSTATUS, "CORE", &p, sizeof(p));
}

static void copy_words(void *to, size_t room, const uint32_t *words, size_t nr)
{
	if (nr)
		memcpy(to, words, min(room, nr * sizeof(*words)));
}

static int put_fpu(const CoreEntry *core, struct core_notes *n)
{
	const UserX86FpregsEntry *f = core->thread_info->fpregs;
	struct user_fpregs_struct fx = { 0 };
	char xsave[XSAVE_LEN] = { 0 };
	uint64_t bv = 0, xcr0 = 7;

	if (!f)
		return 0;
	fx.cwd = f->cwd;
	fx.swd = f->swd;
	fx.ftw = f->twd;
	fx.fop = f->fop;
	fx.rip = f->rip;
	fx.rdp = f->rdp;
	fx.mxcsr = f->mxcsr;
	fx.mxcr_mask = f->mxcsr_mask;
	copy_words(fx.st_space, sizeof(fx.st_space), f->st_space, f->n_st_space);
	copy_words(fx.xmm_space, sizeof(fx.xmm_space), f->xmm_space, f->n_xmm_space);
	if (note(n, NT_FPREGSET, "CORE", &fx, sizeof(fx)))
		return -1;
	if (!f->xsave)
		return 0;
	memcpy(xsave, &fx, sizeof(fx));
	memcpy(xsave + XSAVE_XCR0, &xcr0, sizeof(xcr0));
	bv = f->xsave->xstate_bv & xcr0;
	memcpy(xsave + XSAVE_HEADER, &bv, sizeof(bv));
	copy_words(xsave + XSAVE_YMM, XSAVE_LEN - XSAVE_YMM, f->xsave->ymmh_space,
		   f->xsave->n_ymmh_space);
	return note(n, NT_X86_XSTATE, "LINUX", xsave, sizeof(xsave));
}

/* ---- the process ---- */

static int put_psinfo(const struct core_task *t, struct core_notes *n)
{
	const TaskCoreEntry *tc = t->threads[0]->tc;
	const ThreadCoreEntry *th = t->threads[0]->thread_core;
	struct elf_prpsinfo p = {
		.pr_state = tc->task_state == 3 ? 4 : 0,
		.pr_sname = tc->task_state == 3 ? 'T' : 'R',
		.pr_flag = tc->flags,
		.pr_pid = t->task->pid,
		.pr_ppid = t->task->ppid,
		.pr_pgrp = t->task->pgid,
		.pr_sid = t->task->sid,
		.pr_nice = th && th->has_sched_nice ? th->sched_nice : 0,
		.pr_uid = th && th->creds ? th->creds->uid : 0,
		.pr_gid = th && th->creds ? th->creds->gid : 0,
	};
	size_t len = t->mm->mm_arg_end > t->mm->mm_arg_start
			     ? t->mm->mm_arg_end - t->mm->mm_arg_start
			     : 0;

	snprintf(p.pr_fname, sizeof(p.pr_fname), "%s", tc->comm);
	len = core_read_memory(t, t->mm->mm_arg_start, p.pr_psargs,
			       min(len, sizeof(p.pr_psargs) - 1));
	for (size_t i = 0; i < len; i++)
		if (!p.pr_psargs[i])
			p.pr_psargs[i] = ' ';
	return note(n, NT_PRPSINFO, "CORE", &p, sizeof(p));
}

static const RegFileEntry *mapped_file(const struct core_task *t, const VmaEntry *v)
{
	const FileEntry *f;

	if (!(v->status & (VMA_STATUS_FILE_PRIVATE | VMA_STATUS_FILE_SHARED)))
		return NULL;
	f = checkpoint_file(t->ck, v->shmid);
	return f ? f->reg : NULL;
}

/* count, page size, (start, end, offset in pages) each, then the names. */
static int put_files(const struct core_task *t, struct core_notes *n)
{
	struct core_notes desc = { 0 };
	uint64_t head[2] = { 0, PAGE_SIZE };
	int ret = -1;

	for (size_t i = 0; i < t->mm->n_vmas; i++)
		head[0] += mapped_file(t, t->mm->vmas[i]) != NULL;
	if (put(&desc, head, sizeof(head)))
		goto out;
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		const VmaEntry *v = t->mm->vmas[i];
		uint64_t map[3] = { v->start, v->end, v->pgoff / PAGE_SIZE };

		if (mapped_file(t, v) && put(&desc, map, sizeof(map)))
			goto out;
	}
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		const RegFileEntry *f = mapped_file(t, t->mm->vmas[i]);
		size_t len = f ? strlen(f->name) + 1 : 0;

		/* not padded each: the names follow each other */
		if (len && xgrow(&desc.buf, &desc.cap, desc.len + len + 4, 1))
			goto out;
		if (len)
			memcpy(desc.buf + desc.len, f->name, len);
		desc.len += len;
	}
	ret = note(n, NT_FILE, "CORE", desc.buf, desc.len);
out:
	free(desc.buf);
	return ret;
}

static int put_process(const struct core_task *t, struct core_notes *n)
{
	return put_psinfo(t, n) ||
			       note(n, NT_AUXV, "CORE", t->mm->mm_saved_auxv,
				    t->mm->n_mm_saved_auxv * sizeof(uint64_t)) ||
			       put_files(t, n)
		       ? -1
		       : 0;
}

int core_notes_build(const struct core_task *t, struct core_notes *n)
{
	for (size_t i = 0; i < t->task->n_threads; i++) {
		const CoreEntry *core = t->threads[i];

		if (put_prstatus(t, t->task->threads[i], core, n) || (!i && put_process(t, n)) ||
		    put_fpu(core, n))
			return -1;
	}
	return 0;
}
