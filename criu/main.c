// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("Version: %s\n", CRIU_VERSION);
	return 0;
}
