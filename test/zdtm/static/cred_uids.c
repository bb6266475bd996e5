// SPDX-License-Identifier: GPL-2.0-only
/* Real, effective, saved and file system ids, all different. */
#include "zdtm.h"

#include <grp.h>
#include <sys/fsuid.h>

int main(int argc, char **argv)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	test_init(argc, argv);
	SYS(setresgid(101, 102, 103));
	setfsgid(104);
	SYS(setresuid(201, 202, 0));
	SYS(seteuid(0));
	setfsuid(204);
	test_daemon();
	test_waitsig();
	SABOTAGE(setfsuid(0));
	getresuid(&r, &e, &s);
	getresgid(&gr, &ge, &gs);
	CHECK(r == 201 && e == 0 && s == 0, "uids are %u %u %u", r, e, s);
	CHECK(gr == 101 && ge == 102 && gs == 103, "gids are %u %u %u", gr, ge, gs);
	CHECK(setfsuid(-1) == 204 && setfsgid(-1) == 104, "file system ids are %d %d", setfsuid(-1),
	      setfsgid(-1));
	pass();
}
