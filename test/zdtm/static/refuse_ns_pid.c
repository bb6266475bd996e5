// SPDX-License-Identifier: GPL-2.0-only
/* A child in a pid namespace of its own: dump must not bring it back in criu's. */
#include "stories.h"

int main(int argc, char **argv)
{
	own_namespace_is_refused(argc, argv, CLONE_NEWPID, "pid");
}
