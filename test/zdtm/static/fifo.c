// SPDX-License-Identifier: GPL-2.0-only
/* Named pipes: with data, opened for reading and writing by two processes, and one with only a reader. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[40000], in[40000];
	int both, reader, alone, writer;
	struct gate g;
	pid_t pid;

	test_init(argc, argv);
	SYS(mkfifo("fifo", 0644));
	SYS(mkfifo("other", 0644));
	SYS(mkfifo("alone", 0644));
	fill(in, sizeof(in), 1);
	both = SYS(open("fifo", O_RDWR));
	write_all(both, in, sizeof(in));
	reader = SYS(open("other", O_RDONLY | O_NONBLOCK));
	alone = SYS(open("alone", O_RDONLY | O_NONBLOCK));
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		close(reader);
		writer = SYS(open("other", O_WRONLY));
		write_all(writer, "first", 5);
		gate_open(&g);
		test_waitsig();
		write_all(writer, "second", 6);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(read_all(both, buf, 8));
	read_all(both, buf, sizeof(buf));
	CHECK(!memcmp(in, buf, sizeof(in)), "the data differ");
	test_end(pid);
	CHECK(read(reader, buf, 100) == 11 && !memcmp(buf, "firstsecond", 11),
	      "the other process's data differ");
	CHECK(read(reader, buf, 100) == 0, "no end of file");
	CHECK(read(alone, buf, 1) == 0, "the pipe without writer has one");
	writer = open("alone", O_WRONLY | O_NONBLOCK);
	CHECK(writer >= 0 && write(writer, "x", 1) == 1 && read(alone, buf, 1) == 1,
	      "the pipe is not the one with the name");
	CHECK(fcntl(alone, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
	pass();
}
