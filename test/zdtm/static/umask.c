// SPDX-License-Identifier: GPL-2.0-only
/* The file mode creation mask, and that files get it. */
#include "zdtm.h"

int main(int argc, char **argv)
{
	struct stat st;

	test_init(argc, argv);
	umask(0137);
	test_daemon();
	test_waitsig();
	SABOTAGE(umask(022));
	CHECK(!close(open("made-later", O_CREAT | O_RDWR, 0777)) && !stat("made-later", &st),
	      "cannot make a file");
	CHECK((st.st_mode & 0777) == 0640, "the new file has mode %o", st.st_mode & 0777);
	CHECK(umask(0) == 0137, "the mask is another");
	pass();
}
