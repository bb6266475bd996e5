// SPDX-License-Identifier: GPL-2.0-only
/* A mapping longer than its file: SIGBUS behind the end, until the file grows. */
#include "zdtm.h"

#include <setjmp.h>

static sigjmp_buf back;
static void on_bus(int sig)
{
	siglongjmp(back, 1);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_bus };
	volatile bool bus = false;
	volatile char *mem;
	int fd;

	test_init(argc, argv);
	SYS(sigaction(SIGBUS, &sa, NULL));
	fd = make_file("short", PAGE + 100, 1, O_RDWR);
	mem = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	mem[10] = 'w';
	test_daemon();
	test_waitsig();
	SABOTAGE(SYS(ftruncate(fd, 8 * PAGE)));
	if (!sigsetjmp(back, 1))
		(void)mem[3 * PAGE];
	else
		bus = true;
	CHECK(bus, "no SIGBUS behind the end of the file");
	CHECK(mem[10] == 'w' && !mem[PAGE + 200], "the contents differ");
	CHECK(!ftruncate(fd, 8 * PAGE) && !mem[3 * PAGE],
	      "the mapping does not follow the file's growth");
	pass();
}
