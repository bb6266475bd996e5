// SPDX-License-Identifier: GPL-2.0-only
/* Segments of a local descriptor table (modify_ldt(2)): dump must name them. */
#include "zdtm.h"

#include <asm/ldt.h>

int main(int argc, char **argv)
{
	struct user_desc d = {
		.entry_number = 2, .base_addr = 0x1000, .limit = 0xfff, .seg_32bit = 1
	};
	char buf[64];

	test_init(argc, argv);
	if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
		skip("no local descriptor tables");
	test_daemon();
	test_waitsig();
	CHECK(syscall(SYS_modify_ldt, 0, buf, sizeof(buf)) > 0, "it is gone");
	pass();
}
