// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/log.h"

int main(int argc, char **argv)
{
	int ret;

	setproctitle_init(argc, argv, environ); /* for the processes that stay */
	opts_init();
	if (opts_parse(argc, argv))
		return 1;
	if (cli.version) {
		printf("Version: %s\n", CRIU_VERSION);
		return 0;
	}
	if (cli.help) {
		usage(STDOUT_FILENO, cli.command);
		return 0;
	}
	if (dirs_open(cli.command->dirs))
		return 1;
	ret = cli.command->run();
	log_finish(ret);
	return ret;
}
