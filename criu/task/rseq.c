// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restartable sequences (rseq(2)). A thread that was stopped inside a critical section has been moved to its abort handler
 * when it became a puppet (remote/rseq.h); here is only the registration.
 */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "task/parts.h"
#include "util/log.h"
#include "util/xmalloc.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION /* Linux 5.13 */
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

int rseq_dump(struct part *w)
{
	struct {
		uint64_t pointer;
		uint32_t size, signature, flags, pad;
	} conf = { 0 };
	RseqEntry *e;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, w->th->tid, sizeof(conf), &conf) < 0) {
		if (errno == EIO) /* a kernel without it */
			return 0;
		pr_perror("task %d, thread %d: cannot read its rseq registration", w->t->pid,
			  w->th->tid);
		return -1;
	}
	if (!conf.pointer)
		return 0;
	if (!PB_NEW(e, rseq_entry__init))
		return -1;
	w->th->core->thread_core->rseq_entry = e;
	e->rseq_abi_pointer = conf.pointer;
	e->rseq_abi_size = conf.size;
	e->signature = conf.signature;
	return 0;
}

int rseq_restore(struct part *w)
{
	const RseqEntry *e = w->th->core->thread_core->rseq_entry;

	if (!e || !e->rseq_abi_pointer)
		return 0;
	if (part_room(w, 1, 0))
		return -1;
	prog_add(w->p, RC_STOP, __NR_rseq, e->rseq_abi_pointer, e->rseq_abi_size, 0, e->signature);
	return 0;
}
