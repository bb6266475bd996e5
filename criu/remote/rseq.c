// SPDX-License-Identifier: GPL-2.0-only
#include "remote/rseq.h"

#include <errno.h>
#include <linux/rseq.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "util/log.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION /* Linux 5.13 */
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

static int read_task(pid_t tid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = { buf, len }, remote = { (void *)addr, len };

	return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)len ? 0 : -1;
}

int rseq_abort(pid_t tid, struct arch_regs *regs)
{
	struct {
		uint64_t pointer;
		uint32_t size, signature, flags, pad;
	} conf = { 0 };
	struct rseq_cs cs;
	uint64_t at;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof(conf), &conf) < 0) {
		if (errno == EIO) /* a kernel without it */
			return 0;
		pr_perror("Can't read the rseq registration of task %d", tid);
		return -1;
	}
	if (!conf.pointer)
		return 0;
	if (read_task(tid, conf.pointer + offsetof(struct rseq, rseq_cs), &at, sizeof(at))) {
		pr_perror("Can't read the rseq area of task %d at 0x%lx", tid, conf.pointer);
		return -1;
	}
	if (!at)
		return 0;
	if (read_task(tid, at, &cs, sizeof(cs))) {
		pr_perror("Can't read the rseq critical section of task %d at 0x%lx", tid, at);
		return -1;
	}
	if (arch_ip(regs) - cs.start_ip < cs.post_commit_offset) {
		pr_debug("task %d was inside a restartable sequence: it goes on at 0x%lx", tid,
			 (uint64_t)cs.abort_ip);
		arch_set_ip(regs, cs.abort_ip);
	}
	return 0;
}
