// SPDX-License-Identifier: GPL-2.0-only
/* Entries to JSON, one at a time: memory is that of one entry, whatever the file's size. */
#include "crit.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "hints.h"
#include "text.h"
#include "util/log.h"
#include "util/xmalloc.h"

size_t element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return 4;
	}
}

static bool is_signed(ProtobufCType type)
{
	return type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_SINT32 ||
	       type == PROTOBUF_C_TYPE_SFIXED32 || type == PROTOBUF_C_TYPE_INT64 ||
	       type == PROTOBUF_C_TYPE_SINT64 || type == PROTOBUF_C_TYPE_SFIXED64;
}

/* An integer of any type, sign-extended. */
static uint64_t get_integer(ProtobufCType type, const void *p)
{
	if (type == PROTOBUF_C_TYPE_BOOL)
		return *(const protobuf_c_boolean *)p;
	if (element_size(type) == 8)
		return *(const uint64_t *)p;
	return is_signed(type) || type == PROTOBUF_C_TYPE_ENUM
		       ? (uint64_t)(int64_t) * (const int32_t *)p
		       : *(const uint32_t *)p;
}

uint64_t field_u64(const ProtobufCMessage *msg, const char *name)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(msg->descriptor, name);

	if (!f || f->label == PROTOBUF_C_LABEL_REPEATED)
		return 0;
	if (f->label == PROTOBUF_C_LABEL_OPTIONAL &&
	    !*(const protobuf_c_boolean *)((const char *)msg + f->quantifier_offset))
		return 0;
	return get_integer(f->type, (const char *)msg + f->offset);
}

static void put_bytes(const ProtobufCBinaryData *b, const struct field_hints *h,
		      struct json_out *out)
{
	cleanup_free char *text = NULL;
	size_t len = 0;

	text = h && h->unix_name ? quoted_encode(b->data, b->len, &len)
				 : base64_encode(b->data, b->len, &len);
	if (!text)
		out->failed = true;
	json_str(out, text ?: "", len);
}

static void put_hex(uint64_t v, bool negative, struct json_out *out)
{
	char s[24];

	snprintf(s, sizeof(s), negative ? "-0x%" PRIx64 : "0x%" PRIx64, negative ? -v : v);
	json_str(out, s, strlen(s));
}

/* An integer in its readable form. False: it has none. */
static bool put_readable(const ProtobufCFieldDescriptor *f, uint64_t v, const struct field_hints *h,
			 bool inhex, struct json_out *out)
{
	const char *name;
	char s[512];

	if (h && h->flags) {
		flags_to_text(h->flags, v, s, sizeof(s));
	} else if (h && h->dict) {
		name = dict_name(h->dict, v);
		if (!name)
			return false;
		snprintf(s, sizeof(s), "%s", name);
	} else if (h && h->dev) {
		dev_to_text(h->odev, v, s, sizeof(s));
	} else if (inhex || (h && h->hex)) {
		put_hex(v, is_signed(f->type) && (int64_t)v < 0, out);
		return true;
	} else {
		return false;
	}
	json_str(out, s, strlen(s));
	return true;
}

static void put_integer(const ProtobufCFieldDescriptor *f, uint64_t v, const struct field_hints *h,
			bool inhex, const struct decode_how *how, struct json_out *out)
{
	const ProtobufCEnumValue *e;

	if (f->type == PROTOBUF_C_TYPE_BOOL) {
		json_word(out, v ? "true" : "false");
		return;
	}
	if (f->type == PROTOBUF_C_TYPE_ENUM) {
		e = protobuf_c_enum_descriptor_get_value(f->descriptor, (int)v);
		if (e)
			json_str(out, e->name, strlen(e->name));
		else
			json_i64(out, (int)v);
		return;
	}
	if (how->pretty && put_readable(f, v, h, inhex, out))
		return;
	if (is_signed(f->type))
		json_i64(out, v);
	else
		json_u64(out, v);
}

static void put_real(ProtobufCType type, const void *p, struct json_out *out)
{
	char s[40];

	snprintf(s, sizeof(s), "%.17g",
		 type == PROTOBUF_C_TYPE_FLOAT ? *(const float *)p : *(const double *)p);
	json_word(out, s);
}

static int put_value(const ProtobufCFieldDescriptor *f, const void *p, const struct field_hints *h,
		     bool inhex, const struct decode_how *how, struct json_out *out)
{
	const char *s;
	int ret;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		s = *(char *const *)p;
		json_str(out, s, strlen(s));
		return 0;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(p, h, out);
		return 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		json_open(out, '{');
		ret = decode_fields(*(ProtobufCMessage *const *)p, out, how,
				    inhex || (h && h->hex));
		json_close(out, '}');
		return ret;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		put_real(f->type, p, out);
		return 0;
	default:
		put_integer(f, get_integer(f->type, p), h, inhex, how, out);
		return 0;
	}
}

/* A list of one or four words as the address they are. False: it is none. */
static bool put_address(const void *words, size_t nr, struct json_out *out)
{
	char s[INET6_ADDRSTRLEN];

	if ((nr != 1 && nr != 4) || !inet_ntop(nr == 1 ? AF_INET : AF_INET6, words, s, sizeof(s)))
		return false;
	json_str(out, s, strlen(s));
	return true;
}

static int put_list(const ProtobufCFieldDescriptor *f, const char *list, size_t nr,
		    const struct field_hints *h, bool inhex, const struct decode_how *how,
		    struct json_out *out)
{
	int ret = 0;

	json_open(out, '[');
	if (!how->pretty || !h || !h->ipadd || !put_address(list, nr, out))
		for (size_t i = 0; !ret && i < nr; i++)
			ret = put_value(f, list + i * element_size(f->type), h, inhex, how, out);
	json_close(out, ']');
	return ret;
}

static bool is_set(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f)
{
	const void *p = (const char *)msg + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)p && *(void *const *)p != f->default_value;
	return *(const protobuf_c_boolean *)((const char *)msg + f->quantifier_offset);
}

int decode_fields(const ProtobufCMessage *msg, struct json_out *out, const struct decode_how *how,
		  bool inhex)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;
	const struct field_hints *hints = hints_of(d);

	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const struct field_hints *h = hints ? &hints[i] : NULL;
		const char *p = (const char *)msg + f->offset;
		int ret;

		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			size_t nr = *(const size_t *)((const char *)msg + f->quantifier_offset);

			if (!nr)
				continue;
			json_key(out, f->name);
			ret = put_list(f, *(char *const *)p, nr, h, inhex, how, out);
		} else {
			if (!is_set(msg, f))
				continue;
			json_key(out, f->name);
			ret = put_value(f, p, h, inhex, how, out);
		}
		if (ret)
			return -1;
	}
	return 0;
}

/* What this crit has no field for would be lost without a word. */
static void warn_unknown(struct image *img, off_t off, const ProtobufCMessage *msg)
{
	if (msg->n_unknown_fields)
		pr_warn("Image %s, offset %lld: field %u of %s is not known here and is left out",
			image_name(img), (long long)off, msg->unknown_fields[0].tag,
			msg->descriptor->name);
}

int decode_image(struct image *img, enum image_type type, struct json_out *out,
		 const struct decode_how *how)
{
	off_t off = image_offset(img);
	ProtobufCMessage *msg;
	int ret;

	json_open(out, '{');
	json_key(out, "magic");
	json_str(out, image_kinds[type].name, strlen(image_kinds[type].name));
	json_key(out, "entries");
	json_open(out, '[');
	while ((ret = image_read(img, &msg)) > 0) {
		warn_unknown(img, off, msg);
		json_open(out, '{');
		ret = decode_fields(msg, out, how, false);
		if (!ret)
			ret = decode_extra(img, type, msg, out, how);
		json_close(out, '}');
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret || out->failed)
			return -1;
		off = image_offset(img);
	}
	json_close(out, ']');
	json_close(out, '}');
	return ret;
}
