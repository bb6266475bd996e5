// SPDX-License-Identifier: GPL-2.0-only
/* base64 and quoted-printable: any bytes survive the round trip, any text is decoded or refused. */
#include "crit/text.h"
#include "fuzz.h"

static void round_trip(const uint8_t *data, size_t size,
		       char *(*encode)(const void *buf, size_t buf_len, size_t *len),
		       char *(*decode)(const char *text, size_t text_len, size_t *len))
{
	size_t len, back_len;
	char *text = encode(data, size, &len), *back = decode(text, len, &back_len);

	if (!back || back_len != size || memcmp(back, data, size))
		abort();
	free(text);
	free(back);
	text = decode((const char *)data, size, &len);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	round_trip(data, size, base64_encode, base64_decode);
	round_trip(data, size, quoted_encode, quoted_decode);
	return 0;
}
