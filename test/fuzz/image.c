// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any image file: what can be decoded must encode again, in both forms, to an image that decodes to the same.
 */
#include "fuzz.h"

static void round_trip(const uint8_t *data, size_t size, bool pretty)
{
	int json = decode_to_memory(memory_file(data, size), pretty), image, again;
	char *first, *second;
	size_t len1, len2;

	if (json < 0)
		return;
	image = encode_to_memory(json);
	first = memory_bytes(json, &len1);
	if (image < 0) {
		fprintf(stderr, "not encoded again: %s\n%s", first, log_first_error());
		abort();
	}
	again = decode_to_memory(image, pretty); /* takes image over */
	if (again < 0)
		abort();
	second = memory_bytes(again, &len2);
	if (len1 != len2 || memcmp(first, second, len1)) {
		fprintf(stderr, "changed on the way:\n%s\n%s\n", first, second);
		abort();
	}
	free(first);
	free(second);
	close(json);
	close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_level = LOG_SILENT;
	round_trip(data, size, false);
	round_trip(data, size, true);
	return 0;
}
