// SPDX-License-Identifier: GPL-2.0-only
/* Commands whose story is not in this tree yet: each is refused here until the real function takes its place. */
#include "cli/cli.h"
#include "stories.h"
#include "util/log.h"

static int missing(void)
{
	pr_err("%s is not supported yet", cli.command->name);
	return 1;
}

#define MISSING __attribute__((weak))

MISSING int cmd_dump(void)
{
	return missing();
}
MISSING int cmd_restore(pid_t *root_pid)
{
	return missing();
}
MISSING int cmd_lazy_pages(void)
{
	return missing();
}
MISSING int cmd_page_server(void)
{
	return missing();
}
MISSING int cmd_check(void)
{
	return missing();
}
MISSING int cmd_cpuinfo(void)
{
	return missing();
}
MISSING int cmd_service(void)
{
	return missing();
}
MISSING int cmd_swrk(void)
{
	return missing();
}
