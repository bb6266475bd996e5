// SPDX-License-Identifier: GPL-2.0-only
/* Pipes with one end only: what is left can be read, then end of file; writing gives EPIPE. And an O_DIRECT packet. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int reader[2], writer[2], packets[2];
	char buf[100];

	test_init(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	SYS(pipe(reader));
	SYS(pipe(writer));
	SYS(pipe2(packets, O_DIRECT));
	write_all(reader[1], "left over", 9);
	close(reader[1]);
	close(writer[0]);
	write_all(packets[1], "one", 3);
	test_daemon();
	test_waitsig();
	SABOTAGE(read_all(reader[0], buf, 1));
	CHECK(read(reader[0], buf, 100) == 9 && !memcmp(buf, "left over", 9),
	      "what was left is lost");
	CHECK(read(reader[0], buf, 100) == 0, "no end of file");
	CHECK(write(writer[1], "x", 1) == -1 && errno == EPIPE, "no EPIPE");
	CHECK(fcntl(packets[0], F_GETFL) == O_RDONLY ||
		      fcntl(packets[0], F_GETFL) == (O_RDONLY | O_DIRECT),
	      "flags of the packet pipe");
	CHECK(read(packets[0], buf, 9) == 3 && !memcmp(buf, "one", 3), "the first packet is lost");
	pass();
}
