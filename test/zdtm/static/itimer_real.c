// SPDX-License-Identifier: GPL-2.0-only
/* ITIMER_REAL goes on: the remaining time, the interval, and it fires. */
#include "stories.h"

#include <sys/time.h>

int main(int argc, char **argv)
{
	itimer_goes_on(argc, argv, ITIMER_REAL, SIGALRM);
}
