// SPDX-License-Identifier: GPL-2.0-only
/* The out-of-memory score's adjustment, raised. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[16] = "";
	int fd;

	test_init(argc, argv);
	fd = SYS(open("/proc/self/oom_score_adj", O_RDWR));
	write_all(fd, "321", 3);
	close(fd);
	test_daemon();
	test_waitsig();
	SABOTAGE(fd = open("/proc/self/oom_score_adj", O_RDWR); write_all(fd, "400", 3); close(fd));
	fd = open("/proc/self/oom_score_adj", O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, sizeof(buf) - 1) > 0 && atoi(buf) == 321, "it is %s", buf);
	pass();
}
