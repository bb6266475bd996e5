/* SPDX-License-Identifier: GPL-2.0-only */
/* What an image's way through a file does to what is in it. */
#ifndef TEST_UNIT_BYTES_H
#define TEST_UNIT_BYTES_H

#include "core.pb-c.h"

/* The same once more, packed and unpacked; the caller frees it. */
CoreEntry *through_bytes(const CoreEntry *core);

#endif
