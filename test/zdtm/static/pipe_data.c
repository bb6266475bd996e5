// SPDX-License-Identifier: GPL-2.0-only
/* A pipe with data in it, both ends in one process. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char in[30000], out[30000];
	int p[2];

	test_init(argc, argv);
	fill(in, sizeof(in), 1);
	SYS(pipe(p));
	write_all(p[1], in, 10000);
	write_all(p[1], in + 10000, 5);
	write_all(p[1], in + 10005, 19995);
	read_all(p[0], out, 77);
	test_daemon();
	test_waitsig();
	SABOTAGE(read_all(p[0], out, 1));
	write_all(p[1], "end", 3);
	read_all(p[0], out + 77, sizeof(out) - 77);
	CHECK(!memcmp(in, out, sizeof(in)), "the data differ");
	read_all(p[0], out, 3);
	CHECK(!memcmp(out, "end", 3), "there is other data behind");
	pass();
}
