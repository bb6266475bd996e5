// SPDX-License-Identifier: GPL-2.0-only
/* One packet in a pipe (O_DIRECT); what is written later is another one. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[64];
	int fd[2];

	test_init(argc, argv);
	SYS(pipe2(fd, O_DIRECT));
	write_all(fd[1], "one", 3);
	test_daemon();
	test_waitsig();
	SABOTAGE(read(fd[0], buf, sizeof(buf)));
	write_all(fd[1], "two words", 9);
	CHECK(read(fd[0], buf, sizeof(buf)) == 3 && !memcmp(buf, "one", 3), "the first packet");
	CHECK(read(fd[0], buf, 3) == 3 && !memcmp(buf, "two", 3), "the second");
	SYS(fcntl(fd[0], F_SETFL, O_NONBLOCK));
	CHECK(read(fd[0], buf, sizeof(buf)) == -1, "the second packet's rest");
	pass();
}
