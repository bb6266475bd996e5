// SPDX-License-Identifier: GPL-2.0-only
/* A perf event: dump must name it and leave it unharmed. */
#include "zdtm.h"

#include <linux/perf_event.h>

int main(int argc, char **argv)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_TASK_CLOCK };
	uint64_t value;
	int fd;

	test_init(argc, argv);
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (fd < 0)
		skip("no perf events");
	test_daemon();
	test_waitsig();
	CHECK(read(fd, &value, 8) == 8, "the event cannot be read any more");
	pass();
}
