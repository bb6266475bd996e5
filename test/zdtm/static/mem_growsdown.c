// SPDX-License-Identifier: GPL-2.0-only
/* A MAP_GROWSDOWN area grows after the restore. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char *room, *area;
	char flags[256];

	test_init(argc, argv);
	room = map_anon(512 * PAGE, false);
	SYS(munmap(room, 512 * PAGE));
	area = mmap(room + 500 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	if (area == MAP_FAILED)
		die("mmap");
	fill(area, 2 * PAGE, 1);
	area[-1] = 'a';
	area[-(long)PAGE * 3] = 'b';
	test_daemon();
	test_waitsig();
	SABOTAGE(area[-1] = 'z');
	CHECK(differs(area, 2 * PAGE, 1) < 0 && area[-1] == 'a' && area[-(long)PAGE * 3] == 'b',
	      "the contents differ");
	CHECK(smaps_value(area, "VmFlags", flags, sizeof(flags)) && strstr(flags, "gd"),
	      "flags are %s", flags);
	area[-(long)PAGE * 20] = 'c';
	CHECK(area[-(long)PAGE * 20] == 'c', "it does not grow");
	pass();
}
