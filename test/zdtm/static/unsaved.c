// SPDX-License-Identifier: GPL-2.0-only
/* What images have no place for: dump must say so, and the task runs on without. */
#include "zdtm.h"

#include <linux/ioprio.h>

int main(int argc, char **argv)
{
	cpu_set_t cpus;
	int fd;

	test_init(argc, argv);
	SYS(sched_getaffinity(0, sizeof(cpus), &cpus));
	if (CPU_COUNT(&cpus) < 2)
		skip("one processor");
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&cpus) > 1; i++)
		CPU_CLR(i, &cpus);
	SYS(sched_setaffinity(0, sizeof(cpus), &cpus));
	SYS(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		    IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)));
	SYS(prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0));
	fd = SYS(open("/proc/self/coredump_filter", O_WRONLY));
	write_all(fd, "0x7f", 4);
	close(fd);
	SYS(mlockall(MCL_FUTURE));
	test_daemon();
	test_waitsig();
	pass();
}
