/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the readable form shows a field: the (criu) options of the .proto files (images/opts.proto), read from the
 * descriptor set that is built into crit, and the names that flags and dictionaries have. Called by decode.c and encode.c.
 */
#ifndef CRIU_CRIT_HINTS_H
#define CRIU_CRIT_HINTS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct value_name {
	const char *name;
	uint32_t value;
};

/* The hints of one field. All false and NULL where it has none. */
struct field_hints {
	bool hex;	/* "0x1f"; on a message: everything in it */
	bool ipadd;	/* a list of words is one address, in network order */
	bool dev, odev; /* "major:minor", of the kernel's encoding or (odev) of stat's */
	bool unix_name; /* bytes as quoted-printable, not base64; also in the plain form */
	const struct value_name *flags; /* "A | B | 0x..."; ends with a NULL name */
	const struct value_name *dict;	/* one of these names; ends with a NULL name */
};

/* The hints of DESC's fields, in the order of DESC->fields; NULL where none of them has any. */
const struct field_hints *hints_of(const ProtobufCMessageDescriptor *desc);

/* V by names into BUF. */
void flags_to_text(const struct value_name *names, uint64_t v, char *buf, size_t size);
/* The other way; false where TEXT is nothing of the kind. */
bool flags_from_text(const struct value_name *names, const char *text, uint64_t *v);
/* NULL where V has no name. */
const char *dict_name(const struct value_name *dict, uint64_t v);
bool dict_value(const struct value_name *dict, const char *name, uint64_t *v);
void dev_to_text(bool odev, uint64_t v, char *buf, size_t size);
bool dev_from_text(bool odev, const char *text, uint64_t *v);

#endif
