// SPDX-License-Identifier: GPL-2.0-only
/*
 * The descriptor set holds what protoc knows of the .proto files. The options of a field are an extension
 * (number 50018) that protobuf-c keeps as an unknown field: the message CRIU_Opts, packed.
 */
#include "hints.h"

#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "names.h"
#include "opts.pb-c.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define CRIU_OPTION 50018

/* images.pb as protoc wrote it; the Makefile names its folder to the assembler */
__asm__(".pushsection .rodata\n"
	"descriptor_set: .incbin \"images/images.pb\"\n"
	"descriptor_set_end:\n"
	".popsection\n");
extern const uint8_t descriptor_set[], descriptor_set_end[];

typedef Google__Protobuf__FileDescriptorSet file_set;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;

struct message_hints {
	const ProtobufCMessageDescriptor *desc;
	struct field_hints *fields; /* NULL: none of them has hints */
	UT_hash_handle hh;
};
static struct message_hints *known;

static const file_set *all_files(void)
{
	static file_set *set;

	if (!set)
		set = google__protobuf__file_descriptor_set__unpack(
			NULL, descriptor_set_end - descriptor_set, descriptor_set);
	if (!set)
		pr_err("The descriptors built into crit can't be read: names and hints are "
		       "missing");
	return set;
}

static const message_proto *find_nested(message_proto **all, size_t nr, const char *name)
{
	size_t len = strcspn(name, ".");

	for (size_t i = 0; i < nr; i++) {
		if (strlen(all[i]->name) != len || strncmp(all[i]->name, name, len))
			continue;
		if (!name[len])
			return all[i];
		return find_nested(all[i]->nested_type, all[i]->n_nested_type, name + len + 1);
	}
	return NULL;
}

static const message_proto *find_message(const char *name)
{
	const file_set *set = all_files();

	for (size_t i = 0; set && i < set->n_file; i++) {
		const message_proto *m = find_nested(set->file[i]->message_type,
						     set->file[i]->n_message_type, name);

		if (m)
			return m;
	}
	return NULL;
}

static const field_proto *find_field(const message_proto *m, uint32_t tag)
{
	for (size_t i = 0; i < m->n_field; i++)
		if (m->field[i]->number == (int32_t)tag)
			return m->field[i];
	return NULL;
}

/* An unknown field's data begins with its length, a varint. */
static CRIUOpts *unpack_opts(const ProtobufCMessageUnknownField *u)
{
	size_t skip = 0;

	while (skip < u->len && u->data[skip] & 0x80)
		skip++;
	if (++skip > u->len)
		return NULL;
	return criu__opts__unpack(NULL, u->len - skip, u->data + skip);
}

static bool take_opts(const CRIUOpts *o, const char *field, struct field_hints *h)
{
	h->hex = o->has_hex && o->hex;
	h->ipadd = o->has_ipadd && o->ipadd;
	h->dev = o->has_dev && o->dev;
	h->odev = o->has_odev && o->odev;
	h->flags = o->flags ? names_for(o->flags, field) : NULL;
	h->dict = o->dict ? names_for(o->dict, field) : NULL;
	h->unix_name = o->conv && !strcmp(o->conv, "unix_name");
	return h->hex || h->ipadd || h->dev || h->odev || h->flags || h->dict || h->unix_name;
}

static bool read_field(const field_proto *f, struct field_hints *h)
{
	const ProtobufCMessage *opts = f && f->options ? &f->options->base : NULL;
	bool some = false;

	for (unsigned i = 0; opts && i < opts->n_unknown_fields; i++) {
		CRIUOpts *o;

		if (opts->unknown_fields[i].tag != CRIU_OPTION)
			continue;
		o = unpack_opts(&opts->unknown_fields[i]);
		if (!o)
			continue;
		some = take_opts(o, f->name, h);
		criu__opts__free_unpacked(o, NULL);
	}
	return some;
}

static struct field_hints *read_hints(const ProtobufCMessageDescriptor *desc)
{
	const message_proto *m = find_message(desc->name);
	struct field_hints *fields = m ? xcalloc(desc->n_fields ?: 1, sizeof(*fields)) : NULL;
	bool some = false;

	for (unsigned i = 0; fields && i < desc->n_fields; i++)
		some |= read_field(find_field(m, desc->fields[i].id), &fields[i]);
	if (some)
		return fields;
	free(fields);
	return NULL;
}

const struct field_hints *hints_of(const ProtobufCMessageDescriptor *desc)
{
	struct message_hints *m;

	HASH_FIND_PTR(known, &desc, m);
	if (!m) {
		m = xzalloc(sizeof(*m));
		if (!m)
			return NULL;
		m->desc = desc;
		m->fields = read_hints(desc);
		HASH_ADD_PTR(known, desc, m);
		/* without memory for the table they are read again next time; these stay, since the caller uses them */
	}
	return m->fields;
}
