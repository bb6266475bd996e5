// SPDX-License-Identifier: GPL-2.0-only
/* An unlinked file whose name has another file by now. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	char buf[64];
	int old, new;

	test_init(argc, argv);
	old = make_file("name", 64, 1, O_RDWR);
	SYS(unlink("name"));
	new = make_file("name", 64, 2, O_RDWR);
	test_daemon();
	test_waitsig();
	SABOTAGE(dup2(new, old));
	CHECK(pread(old, buf, 64, 0) == 64 && differs(buf, 64, 1) < 0,
	      "the unlinked file has other contents");
	CHECK(pread(new, buf, 64, 0) == 64 && differs(buf, 64, 2) < 0,
	      "the new file has other contents");
	close(new);
	new = open("name", O_RDONLY);
	CHECK(new >= 0 && read(new, buf, 64) == 64 && differs(buf, 64, 2) < 0,
	      "the name leads to other contents");
	pass();
}
