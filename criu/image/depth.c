// SPDX-License-Identifier: GPL-2.0-only
/* Walks the wire format (protobuf.dev/programming-guides/encoding) over the fields that are messages. */
#include "image/depth.h"

static bool get_varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	*v = 0;
	for (int shift = 0; shift < 70 && *p < end; shift += 7) {
		uint8_t b = *(*p)++;

		if (shift < 64)
			*v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

/* Steps over a field that is no message. False: the bytes are damaged, which the unpacker will say. */
static bool skip_field(const uint8_t **p, const uint8_t *end, unsigned wire_type)
{
	uint64_t len = wire_type == 1 ? 8 : 4;

	if (wire_type == 0)
		return get_varint(p, end, &len);
	if (wire_type != 1 && wire_type != 5)
		return false;
	if (len > (uint64_t)(end - *p))
		return false;
	*p += len;
	return true;
}

static bool walk(const ProtobufCMessageDescriptor *desc, const uint8_t *p, const uint8_t *end,
		 int depth)
{
	if (depth > MESSAGE_MAX_DEPTH)
		return false;
	while (p < end) {
		const ProtobufCFieldDescriptor *f;
		uint64_t key, len;

		if (!get_varint(&p, end, &key))
			return true;
		if ((key & 7) != 2) {
			if (!skip_field(&p, end, key & 7))
				return true;
			continue;
		}
		if (!get_varint(&p, end, &len) || len > (uint64_t)(end - p))
			return true;
		f = protobuf_c_message_descriptor_get_field(desc, key >> 3);
		if (f && f->type == PROTOBUF_C_TYPE_MESSAGE &&
		    !walk(f->descriptor, p, p + len, depth + 1))
			return false;
		p += len;
	}
	return true;
}

bool message_depth_ok(const ProtobufCMessageDescriptor *desc, const uint8_t *p, size_t len)
{
	/* a level takes two bytes at least: small entries, the most frequent ones, need no look */
	return len < 2 * MESSAGE_MAX_DEPTH || walk(desc, p, p + len, 0);
}
