/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * crit, the image tool: its subcommands and what they share. It works from protobuf descriptors and knows no kernel.
 *
 * decode.c and encode.c turn entries into JSON and back by the descriptors of protobuf-c; extra.c does the raw
 * bytes that follow the entries of some kinds. How the readable form shows a field comes from the (criu) options in
 * the .proto files (hints.c), so a new message needs no code here.
 *
 * Functions return 0, or -1 with the error logged.
 */
#ifndef CRIU_CRIT_CRIT_H
#define CRIU_CRIT_CRIT_H

#include "image/image.h"
#include "json.h"

/* ---- subcommands: argv[0] is the subcommand's name; the exit status ---- */
int cmd_decode(int argc, char **argv);
int cmd_encode(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_x(int argc, char **argv);
int cmd_make_lazy(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_core_dump(int argc, char **argv);

/* missing.c: one of the things of cmd_x() */
int x_missing(const char *path);

/* ---- entries as JSON ---- */
struct decode_how {
	bool pretty;	 /* the readable form */
	bool no_payload; /* only say how long an extra is */
};
/* The whole image IMG as one JSON value. */
int decode_image(struct image *img, enum image_type type, struct json_out *out,
		 const struct decode_how *how);
/* The fields of MSG, without the braces around them. INHEX: integers in it are shown in hex. */
int decode_fields(const ProtobufCMessage *msg, struct json_out *out, const struct decode_how *how,
		  bool inhex);
/* What follows the entry MSG in IMG, as the member "extra"; nothing for kinds that have none. */
int decode_extra(struct image *img, enum image_type type, const ProtobufCMessage *msg,
		 struct json_out *out, const struct decode_how *how);

/* The JSON of IN to an image on FD (taken over). */
int encode_image(struct json_in *in, int fd, const char *name);
/* The members of a JSON object (from "{") into a fresh message of DESC; EXTRA is called for a member "extra". NULL: logged. */
ProtobufCMessage *encode_message(struct json_in *in, const ProtobufCMessageDescriptor *desc,
				 int (*extra)(struct json_in *in, void *arg), void *arg);

/* What follows an entry, parsed from JSON: pieces in order, before it is known whether they fit the entry. */
struct extra {
	enum image_type type;
	bool given;
	struct extra_piece {
		ProtobufCMessage *msg; /* ipc_msg, ghost_chunk_entry; NULL: bytes */
		char *buf;
		size_t len;
	} * pieces;
	size_t nr, cap;
};
int extra_parse(struct json_in *in, void *extra); /* for encode_message() */
int extra_write(struct image *img, const ProtobufCMessage *msg, const struct extra *extra);
void extra_free(struct extra *extra);

/* ---- fields ---- */
/* Bytes that a value of TYPE takes in protobuf-c's structs, and so in its arrays. */
size_t element_size(ProtobufCType type);
/* An integer field (also an enum or a bool); 0 where the message has no such field or it is not set. */
uint64_t field_u64(const ProtobufCMessage *msg, const char *name);

#endif
