// SPDX-License-Identifier: GPL-2.0-only
/* Restartable sequences stay registered: the kernel keeps writing the CPU number, and the registration can be taken back. */
#include "zdtm.h"

#include <sys/rseq.h>

int main(int argc, char **argv)
{
	struct rseq *rs;
	cpu_set_t set;
	int i;

	test_init(argc, argv);
	if (!__rseq_size)
		skip("glibc has not registered rseq");
	rs = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	test_daemon();
	test_waitsig();
	SABOTAGE(syscall(SYS_rseq, rs, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	for (i = 0; i < 2; i++) {
		CPU_ZERO(&set);
		CPU_SET(i, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			continue; /* one CPU */
		sched_yield();
		CHECK((int)rs->cpu_id == i, "rseq says CPU %d, we are on %d", rs->cpu_id, i);
	}
	CHECK(!syscall(SYS_rseq, rs, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG),
	      "rseq is not registered as it was");
	pass();
}
