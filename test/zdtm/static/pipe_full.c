// SPDX-License-Identifier: GPL-2.0-only
/* Pipes of several sizes filled to the brim, the bigger than the default ones among them. */
#include "zdtm.h"

#define NR 4

int main(int argc, char **argv)
{
	static const int sizes[NR] = { 4096, 65536, 262144, 1048576 };
	char *buf = map_anon(1 << 20, false), c;
	int p[NR][2], got[NR], i, n;

	test_init(argc, argv);
	for (i = 0; i < NR; i++) {
		SYS(pipe2(p[i], O_NONBLOCK));
		SYS(fcntl(p[i][1], F_SETPIPE_SZ, sizes[i]));
		fill(buf, sizes[i], i);
		for (got[i] = 0; (n = write(p[i][1], buf + got[i], sizes[i] - got[i])) > 0;)
			got[i] += n;
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(read_all(p[2][0], &c, 1));
	for (i = 0; i < NR; i++) {
		CHECK(fcntl(p[i][0], F_GETPIPE_SZ) == sizes[i], "pipe %d holds %d, held %d", i,
		      fcntl(p[i][0], F_GETPIPE_SZ), sizes[i]);
		CHECK(write(p[i][1], "x", 1) == -1 && errno == EAGAIN, "pipe %d is not full", i);
		for (n = 0; n < got[i];) {
			int m = read(p[i][0], buf + n, got[i] - n);

			CHECK(m > 0, "pipe %d ends after %d bytes of %d", i, n, got[i]);
			n += m;
		}
		CHECK(differs(buf, got[i] & ~7, i) < 0, "pipe %d: the data differ at %zd", i,
		      differs(buf, got[i] & ~7, i));
		CHECK(read(p[i][0], &c, 1) == -1 && errno == EAGAIN, "pipe %d has more", i);
	}
	pass();
}
