// SPDX-License-Identifier: GPL-2.0-only
/* Mappings of unlinked files, private and shared, the descriptor closed; the shared one is shared with a child. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char *priv, *shared;
	struct gate g;
	pid_t pid;
	int a, b;

	test_init(argc, argv);
	a = make_file("gone-a", 8 * PAGE, 1, O_RDWR);
	b = make_file("gone-b", 8 * PAGE, 2, O_RDWR);
	priv = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, a, 0);
	shared = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, b, 0);
	if (priv == MAP_FAILED || shared == MAP_FAILED)
		die("mmap");
	SYS(unlink("gone-a"));
	SYS(unlink("gone-b"));
	close(a);
	close(b);
	fill(priv + PAGE, PAGE, 3);
	fill(shared + PAGE, PAGE, 4);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		gate_open(&g);
		test_waitsig();
		fill(shared + 2 * PAGE, PAGE, 5);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(priv[0]++);
	test_end(pid);
	CHECK(differs(priv, PAGE, 1) < 0 && differs(priv + PAGE, PAGE, 3) < 0,
	      "the private mapping differs");
	CHECK(differs(shared, PAGE, 2) < 0 && differs(shared + PAGE, PAGE, 4) < 0,
	      "the shared mapping differs");
	CHECK(differs(shared + 2 * PAGE, PAGE, 5) < 0, "it is not shared any more");
	CHECK(access("gone-a", F_OK) && access("gone-b", F_OK), "a file has a name again");
	pass();
}
