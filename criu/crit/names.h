/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables of names that flags= and dict= hints of the .proto files refer to. Called by hints.c. */
#ifndef CRIU_CRIT_NAMES_H
#define CRIU_CRIT_NAMES_H

#include "hints.h"

/* The names for a hint ("mmap.prot"; a dictionary, "sk", has a table per field). NULL where there are none. */
const struct value_name *names_for(const char *hint, const char *field);

#endif
