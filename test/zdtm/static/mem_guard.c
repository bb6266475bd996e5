// SPDX-License-Identifier: GPL-2.0-only
/* Guard regions (MADV_GUARD_INSTALL, Linux 6.13): pages in the midst of an area that nobody may touch, as glibc makes them for stacks. */
#include "zdtm.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Does touching the page at ADDR fail? (A system call says so without a signal.) */
static bool is_guard(const char *addr)
{
	int fd[2];
	bool fault;

	SYS(pipe(fd));
	fault = write(fd[1], addr, 1) == -1 && errno == EFAULT;
	close(fd[0]);
	close(fd[1]);
	return fault;
}

int main(int argc, char **argv)
{
	char *m, *empty, *shared;
	bool in_shared;

	test_init(argc, argv);
	m = map_anon(16 * PAGE, false);
	empty = map_anon(16 * PAGE, false);
	shared = map_anon(16 * PAGE, true);
	fill(m, 16 * PAGE, 5);
	fill(shared, 16 * PAGE, 6);
	if (madvise(m, PAGE, MADV_GUARD_INSTALL))
		skip("no guard regions");
	SYS(madvise(m + 4 * PAGE, 3 * PAGE, MADV_GUARD_INSTALL));
	SYS(madvise(empty + 15 * PAGE, PAGE, MADV_GUARD_INSTALL));
	in_shared = !madvise(shared + 2 * PAGE, PAGE, MADV_GUARD_INSTALL); /* Linux 6.15 */
	test_daemon();
	test_waitsig();
	SABOTAGE(madvise(m + 4 * PAGE, PAGE, MADV_GUARD_INSTALL + 1));
	for (int i = 0; i < 16; i++) {
		bool want = i == 0 || (i >= 4 && i < 7);

		CHECK(is_guard(m + i * PAGE) == want, "page %d is %s guard", i, want ? "no" : "a");
		CHECK(is_guard(empty + i * PAGE) == (i == 15), "empty page %d", i);
		CHECK(is_guard(shared + i * PAGE) == (in_shared && i == 2), "shared page %d", i);
	}
	CHECK(differs(shared, 2 * PAGE, 6) < 0, "shared memory differs");
	pass();
}
