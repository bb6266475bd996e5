// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "test/unit/lib/bytes.h"
#include "util/xmalloc.h"

CoreEntry *through_bytes(const CoreEntry *core)
{
	size_t len = core_entry__get_packed_size(core);
	cleanup_free uint8_t *buf = xmalloc(len);
	CoreEntry *c;

	assert_non_null(buf);
	core_entry__pack(core, buf);
	c = core_entry__unpack(NULL, len, buf);
	assert_non_null(c);
	return c;
}
