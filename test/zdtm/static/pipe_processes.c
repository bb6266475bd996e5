// SPDX-License-Identifier: GPL-2.0-only
/* A pipeline of three processes, data in each pipe, end of file passes through when the first ends. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	int a[2], b[2], i, n;
	char buf[200];
	struct gate g;
	pid_t pid[2];

	test_init(argc, argv);
	SYS(pipe(a));
	SYS(pipe(b));
	for (i = 0; i < 2; i++) {
		gate_init(&g);
		pid[i] = test_fork();
		if (!pid[i]) {
			if (i == 0) { /* the source */
				close(a[0]), close(b[0]), close(b[1]);
				write_all(a[1], "early ", 6);
				gate_open(&g);
				test_waitsig();
				write_all(a[1], "late", 4);
			} else { /* the middle */
				close(a[1]), close(b[0]);
				write_all(b[1], "middle ", 7);
				gate_open(&g);
				test_waitsig();
				while ((n = read(a[0], buf, sizeof(buf))) > 0)
					write_all(b[1], buf, n);
			}
			_exit(0);
		}
		gate_wait(&g);
	}
	close(a[0]), close(a[1]), close(b[1]);
	test_daemon();
	test_waitsig();
	SABOTAGE(read_all(b[0], buf, 1));
	kill(pid[0], SIGTERM);
	kill(pid[1], SIGTERM);
	for (n = 0; (i = read(b[0], buf + n, sizeof(buf) - n)) > 0;)
		n += i;
	CHECK(n == 17 && !memcmp(buf, "middle early late", 17), "what comes out is '%.*s'", n, buf);
	CHECK(!test_wait(pid[0]) && !test_wait(pid[1]), "a child failed");
	pass();
}
