// SPDX-License-Identifier: GPL-2.0-only
/* JSON to entries, one at a time. Takes the plain and the readable form, mixed as an editor left them. */
#include "crit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "hints.h"
#include "text.h"
#include "util/log.h"
#include "util/xmalloc.h"

static bool fits(ProtobufCType type, const struct json_int *v)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		return v->magnitude <= (uint64_t)INT32_MAX + v->negative;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return v->magnitude <= (uint64_t)INT64_MAX + v->negative;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return v->magnitude <= UINT32_MAX && (!v->negative || !v->magnitude);
	default:
		return !v->negative || !v->magnitude;
	}
}

static int store_integer(struct json_in *in, const ProtobufCFieldDescriptor *f, void *p,
			 const struct json_int *v)
{
	uint64_t bits = v->negative ? -v->magnitude : v->magnitude;

	if (!fits(f->type, v))
		return json_error(in, "%s%lu does not fit into \"%s\"", v->negative ? "-" : "",
				  v->magnitude, f->name);
	memcpy(p, &bits, element_size(f->type)); /* little endian */
	return 0;
}

/* "0x1f", "-0x1f", "31" */
static bool number_from_text(const char *text, struct json_int *v)
{
	char *end;

	v->negative = *text == '-';
	text += v->negative;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v->magnitude = strtoull(text, &end, 0);
	return !*end && !errno;
}

/* An integer given as text, in->str: a readable form. */
static int integer_from_text(struct json_in *in, const ProtobufCFieldDescriptor *f,
			     const struct field_hints *h, void *p)
{
	struct json_int v = { 0 };
	const ProtobufCEnumValue *e;

	if (strlen(in->str) != in->str_len)
		return json_error(in, "\"%s\" has a NUL in it", f->name);
	if (f->type == PROTOBUF_C_TYPE_ENUM) {
		e = protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, in->str);
		if (e) {
			*(int *)p = e->value;
			return 0;
		}
	}
	if ((h && h->flags && flags_from_text(h->flags, in->str, &v.magnitude)) ||
	    (h && h->dict && dict_value(h->dict, in->str, &v.magnitude)) ||
	    (h && h->dev && dev_from_text(h->odev, in->str, &v.magnitude)) ||
	    number_from_text(in->str, &v))
		return store_integer(in, f, p, &v);
	return json_error(in, "\"%s\" is nothing that \"%s\" can be", in->str, f->name);
}

static int parse_integer(struct json_in *in, const ProtobufCFieldDescriptor *f,
			 const struct field_hints *h, void *p)
{
	struct json_int v;

	if (json_peek(in) == '"')
		return json_string(in) ? -1 : integer_from_text(in, f, h, p);
	return json_integer(in, &v) ? -1 : store_integer(in, f, p, &v);
}

static int parse_bytes(struct json_in *in, const ProtobufCFieldDescriptor *f,
		       const struct field_hints *h, ProtobufCBinaryData *b)
{
	if (json_string(in))
		return -1;
	b->data = (uint8_t *)(h && h->unix_name ? quoted_decode(in->str, in->str_len, &b->len)
						: base64_decode(in->str, in->str_len, &b->len));
	if (b->data)
		return 0;
	return json_error(in, "\"%s\" is no %s", f->name,
			  h && h->unix_name ? "quoted-printable text" : "base64");
}

static int parse_string(struct json_in *in, const ProtobufCFieldDescriptor *f, char **p)
{
	if (json_string(in))
		return -1;
	if (strlen(in->str) != in->str_len)
		return json_error(in, "\"%s\" has a NUL in it", f->name);
	*p = xstrdup(in->str);
	return *p ? 0 : -1;
}

static int parse_bool(struct json_in *in, protobuf_c_boolean *p)
{
	bool v;

	if (json_bool(in, &v))
		return -1;
	*p = v;
	return 0;
}

static int parse_value(struct json_in *in, const ProtobufCFieldDescriptor *f,
		       const struct field_hints *h, void *p)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return parse_string(in, f, p);
	case PROTOBUF_C_TYPE_BYTES:
		return parse_bytes(in, f, h, p);
	case PROTOBUF_C_TYPE_BOOL:
		return parse_bool(in, p);
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)p = encode_message(in, f->descriptor, NULL, NULL);
		return *(ProtobufCMessage **)p ? 0 : -1;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_error(in, "\"%s\" is a real number: no image has those", f->name);
	default:
		return parse_integer(in, f, h, p);
	}
}

/* "127.0.0.1" or "::1" as the words of an address. Returns how many, or -1. */
static int parse_address(struct json_in *in, uint32_t *words)
{
	if (json_string(in))
		return -1;
	if (inet_pton(AF_INET, in->str, words) == 1)
		return 1;
	if (inet_pton(AF_INET6, in->str, words) == 1)
		return 4;
	return json_error(in, "\"%s\" is no address", in->str);
}

static int parse_list(struct json_in *in, const ProtobufCFieldDescriptor *f,
		      const struct field_hints *h, size_t *nr, char **list)
{
	size_t size = element_size(f->type), cap = 0;
	bool first = true;
	int ret;

	if (json_enter(in, '['))
		return -1;
	while ((ret = json_next(in, ']', &first)) > 0) {
		if (xgrow(list, &cap, *nr + 3, size))
			return -1;
		memset(*list + *nr * size, 0, size);
		if (h && h->ipadd && json_peek(in) == '"') {
			ret = parse_address(in, (uint32_t *)*list + *nr);
			if (ret < 0)
				return -1;
			*nr += ret;
			continue;
		}
		/* counted first: what is half made must be freed with the rest */
		if (parse_value(in, f, h, *list + (*nr)++ * size)) {
			/* but a string or message that never came is no element */
			if ((f->type == PROTOBUF_C_TYPE_MESSAGE ||
			     f->type == PROTOBUF_C_TYPE_STRING) &&
			    !((void **)*list)[*nr - 1])
				(*nr)--;
			return -1;
		}
	}
	return ret;
}

static int parse_member(struct json_in *in, ProtobufCMessage *msg,
			const ProtobufCFieldDescriptor *f)
{
	const struct field_hints *hints = hints_of(msg->descriptor);
	const struct field_hints *h = hints ? &hints[f - msg->descriptor->fields] : NULL;
	char *p = (char *)msg + f->offset, *quantifier = (char *)msg + f->quantifier_offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return parse_list(in, f, h, (size_t *)quantifier, (char **)p);
	if (f->type == PROTOBUF_C_TYPE_STRING)
		*(char **)p = NULL; /* a default is not ours to free */
	if (parse_value(in, f, h, p))
		return -1;
	if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
	    f->type != PROTOBUF_C_TYPE_MESSAGE)
		*(protobuf_c_boolean *)quantifier = 1;
	return 0;
}

static int check_required(struct json_in *in, const ProtobufCMessageDescriptor *desc,
			  const bool *seen)
{
	for (unsigned i = 0; i < desc->n_fields; i++)
		if (desc->fields[i].label == PROTOBUF_C_LABEL_REQUIRED && !seen[i])
			return json_error(in, "this %s has no \"%s\"", desc->name,
					  desc->fields[i].name);
	return 0;
}

static int parse_members(struct json_in *in, ProtobufCMessage *msg,
			 int (*extra)(struct json_in *in, void *arg), void *arg)
{
	const ProtobufCMessageDescriptor *desc = msg->descriptor;
	bool seen[desc->n_fields + 1], first = true;
	int ret;

	memset(seen, 0, sizeof(seen));
	if (json_enter(in, '{'))
		return -1;
	while ((ret = json_next(in, '}', &first)) > 0) {
		const ProtobufCFieldDescriptor *f;

		if (json_member(in))
			return -1;
		f = protobuf_c_message_descriptor_get_field_by_name(desc, in->str);
		if (!f && extra && !strcmp(in->str, "extra")) {
			if (extra(in, arg))
				return -1;
			continue;
		}
		if (!f)
			return json_error(in, "a %s has no field \"%s\"", desc->name, in->str);
		if (seen[f - desc->fields])
			return json_error(in, "\"%s\" is given twice", f->name);
		seen[f - desc->fields] = true;
		if (parse_member(in, msg, f))
			return -1;
	}
	return ret ? -1 : check_required(in, desc, seen);
}

ProtobufCMessage *encode_message(struct json_in *in, const ProtobufCMessageDescriptor *desc,
				 int (*extra)(struct json_in *in, void *arg), void *arg)
{
	ProtobufCMessage *msg = xzalloc(desc->sizeof_message);

	if (!msg)
		return NULL;
	protobuf_c_message_init(desc, msg);
	if (!parse_members(in, msg, extra, arg))
		return msg;
	protobuf_c_message_free_unpacked(msg, NULL);
	return NULL;
}

static int encode_entry(struct json_in *in, struct image *img, enum image_type type, bool first)
{
	const struct image_kind *k = &image_kinds[type];
	struct extra extra = { .type = type };
	ProtobufCMessage *msg = encode_message(in, k->head && first ? k->head : k->entry,
					       extra_parse, &extra);
	int ret = -1;

	if (msg && !image_write(img, msg))
		ret = extra_write(img, msg, &extra);
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
	extra_free(&extra);
	return ret;
}

static int encode_entries(struct json_in *in, int fd, const char *name, enum image_type type)
{
	struct image *img = image_create_fd(fd, name, type);
	bool first = true;
	unsigned long nr = 0;
	int ret = -1;

	if (!img)
		return -1;
	if (!json_enter(in, '['))
		while ((ret = json_next(in, ']', &first)) > 0)
			if (encode_entry(in, img, type, !nr++)) {
				ret = -1;
				break;
			}
	return image_close(img) ? -1 : ret;
}

static int kind_by_name(struct json_in *in)
{
	if (json_string(in))
		return -1;
	for (int i = 0; i < IMG_TYPES; i++)
		if (!strcmp(image_kinds[i].name, in->str)) {
			if (image_kinds[i].entry)
				return i;
			return json_error(in, "%s images are raw, they have no JSON form", in->str);
		}
	return json_error(in, "unknown magic \"%s\"", in->str);
}

/* Sorted keys put the entries before the magic: reads on to find it, and comes back. */
static int find_magic(struct json_in *in, const char *name)
{
	bool first = true;
	int ret, type = -1;

	if (lseek(in->fd, 0, SEEK_SET))
		return json_error(in, "\"magic\" comes after \"entries\": give the file with -i, a "
				      "pipe can't be read twice");
	json_in_free(in);
	if (json_in_init(in, in->fd, name) || json_enter(in, '{'))
		return -1;
	while ((ret = json_next(in, '}', &first)) > 0) {
		if (json_member(in))
			return -1;
		if (!strcmp(in->str, "magic"))
			type = kind_by_name(in);
		else if (json_skip(in))
			return -1;
		else
			continue;
		break;
	}
	if (ret >= 0 && type < 0)
		return ret ? -1 : json_error(in, "there is no \"magic\"");
	if (lseek(in->fd, 0, SEEK_SET))
		return -1;
	json_in_free(in);
	return json_in_init(in, in->fd, name) || json_enter(in, '{') ? -1 : type;
}

int encode_image(struct json_in *in, int fd_taken, const char *name)
{
	cleanup_close int fd = fd_taken;
	const char *in_name = in->name;
	bool first = true, done = false;
	int ret, type = -1;

	if (json_enter(in, '{'))
		return -1;
	while ((ret = json_next(in, '}', &first)) > 0) {
		if (json_member(in))
			return -1;
		if (!strcmp(in->str, "magic")) {
			type = kind_by_name(in);
			if (type < 0)
				return -1;
		} else if (strcmp(in->str, "entries")) {
			return json_error(in, "unknown member \"%s\"", in->str);
		} else if (done) {
			return json_error(in, "\"entries\" is given twice");
		} else if (type < 0) {
			type = find_magic(in, in_name);
			if (type < 0)
				return -1;
			first = true; /* from the beginning again */
		} else {
			if (encode_entries(in, move_fd(fd), name, type))
				return -1;
			done = true;
		}
	}
	if (ret || json_end(in))
		return -1;
	return done ? 0 : json_error(in, "there are no \"entries\"");
}
