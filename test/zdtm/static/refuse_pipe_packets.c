// SPDX-License-Identifier: GPL-2.0-only
/* Packets in a pipe (O_DIRECT): each read gives one of them, which images cannot say. dump must refuse. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[64];
	int fd[2];

	test_init(argc, argv);
	SYS(pipe2(fd, O_DIRECT));
	write_all(fd[1], "one", 3);
	write_all(fd[1], "two words", 9);
	test_daemon();
	test_waitsig();
	CHECK(read(fd[0], buf, sizeof(buf)) == 3 && !memcmp(buf, "one", 3), "the first packet");
	CHECK(read(fd[0], buf, sizeof(buf)) == 9 && !memcmp(buf, "two words", 9), "the second");
	pass();
}
