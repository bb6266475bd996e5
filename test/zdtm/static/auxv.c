// SPDX-License-Identifier: GPL-2.0-only
/* The auxiliary vector, in memory and in /proc, and that what it points to is there. */
#include "zdtm.h"

#include <elf.h>
#include <sys/auxv.h>

int main(int argc, char **argv)
{
	unsigned long before[128] = { 0 }, after[128] = { 0 };
	Elf64_Ehdr *vdso;
	int fd;

	test_init(argc, argv);
	fd = SYS(open("/proc/self/auxv", O_RDONLY));
	SYS(read(fd, before, sizeof(before)));
	close(fd);
	test_daemon();
	test_waitsig();
	SABOTAGE(before[3]++);
	fd = open("/proc/self/auxv", O_RDONLY);
	CHECK(fd >= 0 && read(fd, after, sizeof(after)) > 0, "no /proc/self/auxv");
	CHECK(!memcmp(before, after, sizeof(before)), "/proc/self/auxv has changed");
	vdso = (void *)getauxval(AT_SYSINFO_EHDR);
	CHECK(vdso && !memcmp(vdso->e_ident, ELFMAG, SELFMAG), "no vDSO at %p", vdso);
	CHECK(!strcmp((char *)getauxval(AT_PLATFORM), "x86_64"), "AT_PLATFORM is %s",
	      (char *)getauxval(AT_PLATFORM));
	CHECK(strstr((char *)getauxval(AT_EXECFN), "auxv"), "AT_EXECFN is %s",
	      (char *)getauxval(AT_EXECFN));
	pass();
}
