// SPDX-License-Identifier: GPL-2.0-only
/* Any text as the JSON of an image: what is encoded must decode. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int in = memory_file(data, size), image, json;

	log_level = LOG_SILENT;
	image = encode_to_memory(in);
	close(in);
	if (image < 0)
		return 0;
	json = decode_to_memory(image, true); /* takes image over */
	if (json < 0) {
		fprintf(stderr, "the image made of it is refused: %s", log_first_error());
		abort();
	}
	close(json);
	return 0;
}
