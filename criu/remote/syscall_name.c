// SPDX-License-Identifier: GPL-2.0-only
#include "remote/syscall_name.h"

#include <stdio.h>
#include <sys/syscall.h>

#include "util/xmalloc.h"

static const char *const names[] = {
#include "syscall-names.h" /* made by the Makefile from asm/unistd.h */
};

const char *syscall_name(long nr)
{
	static char number[32];

	if (nr >= 0 && nr < (long)ARRAY_SIZE(names) && names[nr])
		return names[nr];
	snprintf(number, sizeof(number), "syscall %ld", nr);
	return number;
}
