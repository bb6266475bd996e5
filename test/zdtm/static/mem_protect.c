// SPDX-License-Identifier: GPL-2.0-only
/* Protections: none, read, write, execute; contents under PROT_NONE; code in memory runs. */
#include "zdtm.h"

#include <setjmp.h>

static sigjmp_buf back;
static void on_fault(int sig)
{
	siglongjmp(back, 1);
}
static bool faults(volatile char *p, bool by_writing)
{
	if (sigsetjmp(back, 1))
		return true;
	if (by_writing)
		*p = 1;
	else
		(void)*p;
	return false;
}

int main(int argc, char **argv)
{
	static const unsigned char code[] = {
		0xb8, 0x39, 0x30, 0, 0, 0xc3
	}; /* mov $12345, %eax; ret */
	struct sigaction sa = { .sa_handler = on_fault };
	char *none, *ro, *exec;

	test_init(argc, argv);
	SYS(sigaction(SIGSEGV, &sa, NULL));
	none = map_anon(16 * PAGE, false);
	ro = map_anon(16 * PAGE, false);
	exec = map_anon(PAGE, false);
	fill(none, 16 * PAGE, 1);
	fill(ro, 16 * PAGE, 2);
	memcpy(exec, code, sizeof(code));
	SYS(mprotect(none, 16 * PAGE, PROT_NONE));
	SYS(mprotect(ro, 16 * PAGE, PROT_READ));
	SYS(mprotect(exec, PAGE, PROT_READ | PROT_EXEC));
	test_daemon();
	test_waitsig();
	SABOTAGE(mprotect(none + PAGE, PAGE, PROT_READ));
	CHECK(faults(none + PAGE, false) && faults(none + 15 * PAGE, true),
	      "PROT_NONE is accessible");
	CHECK(!faults(ro, false) && faults(ro + PAGE, true), "the read-only area is not read-only");
	CHECK(faults(exec, true), "code can be written");
	CHECK(((int (*)(void))exec)() == 12345, "code in memory does not run");
	CHECK(!mprotect(none, 16 * PAGE, PROT_READ | PROT_WRITE) && differs(none, 16 * PAGE, 1) < 0,
	      "contents under PROT_NONE are lost");
	CHECK(differs(ro, 16 * PAGE, 2) < 0, "read-only contents are lost");
	CHECK(!mprotect(ro, 16 * PAGE, PROT_READ | PROT_WRITE) && !faults(ro, true),
	      "cannot be made writable");
	pass();
}
