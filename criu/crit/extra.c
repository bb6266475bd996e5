// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bytes that follow the entries of some kinds, as the member "extra" of the entry. How many there are is said by
 * the entry; reading asks the file first, writing compares with what the JSON gave.
 */
#include "crit.h"

#include <stdio.h>

#include "ghost-file.pb-c.h"
#include "ipc-msg.pb-c.h"
#include "text.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define PIECE_STEP (1 << 20)

/* LEN bytes of IMG; where the file's size is not known, memory grows as they come. */
static char *read_bytes(struct image *img, uint64_t len, const char *what)
{
	cleanup_free char *buf = NULL;
	size_t cap = 0, have = 0;

	if (image_check_left(img, len, what))
		return NULL;
	do {
		size_t part = min(len - have, (uint64_t)PIECE_STEP);

		if (xgrow(&buf, &cap, have + part, 1) || image_read_raw(img, buf + have, part))
			return NULL;
		have += part;
	} while (have < len);
	return move_ptr(buf);
}

static void put_size(struct json_out *out, uint64_t len)
{
	static const char *const units[] = { "B", "K", "M", "G", "T" };
	char s[64];
	double v = len;
	unsigned u = 0;

	for (; v >= 1024 && u < ARRAY_SIZE(units) - 1; u++)
		v /= 1024;
	snprintf(s, sizeof(s), u ? "... <%.1f %s>" : "... <%.0f %s>", v, units[u]);
	json_str(out, s, strlen(s));
}

/* LEN bytes of IMG as a base64 string, and PADDING more that are thrown away. */
static int put_bytes(struct image *img, uint64_t len, unsigned padding, struct json_out *out,
		     const struct decode_how *how)
{
	cleanup_free char *buf = NULL, *text = NULL;
	size_t text_len;

	if (how->no_payload) {
		put_size(out, len);
		return image_skip(img, len) || image_skip(img, padding) ? -1 : 0;
	}
	buf = read_bytes(img, len, "what follows an entry");
	if (!buf || image_skip(img, padding))
		return -1;
	text = base64_encode(buf, len, &text_len);
	if (!text)
		return -1;
	json_str(out, text, text_len);
	return 0;
}

static unsigned padding(uint64_t len, unsigned to)
{
	return (to - len % to) % to;
}

static int put_tcp(struct image *img, const ProtobufCMessage *msg, struct json_out *out,
		   const struct decode_how *how)
{
	int ret;

	json_open(out, '{');
	json_key(out, "inq");
	ret = put_bytes(img, field_u64(msg, "inq_len"), 0, out, how);
	if (!ret) {
		json_key(out, "outq");
		ret = put_bytes(img, field_u64(msg, "outq_len"), 0, out, how);
	}
	json_close(out, '}');
	return ret;
}

static int put_sem(struct image *img, const ProtobufCMessage *msg, struct json_out *out)
{
	uint64_t nr = field_u64(msg, "nsems");
	cleanup_free char *buf = read_bytes(img, nr * 2, "the semaphores");

	if (!buf || image_skip(img, padding(nr * 2, 8)))
		return -1;
	json_open(out, '[');
	for (uint64_t i = 0; i < nr; i++) {
		uint16_t v;

		memcpy(&v, buf + i * 2, 2);
		json_u64(out, v);
	}
	json_close(out, ']');
	return 0;
}

static int put_message(const ProtobufCMessage *msg, struct json_out *out,
		       const struct decode_how *how)
{
	int ret;

	json_open(out, '{');
	ret = decode_fields(msg, out, how, false);
	json_close(out, '}');
	return ret;
}

static int put_queue(struct image *img, const ProtobufCMessage *msg, struct json_out *out,
		     const struct decode_how *how)
{
	uint64_t nr = field_u64(msg, "qnum");
	int ret = 0;

	json_open(out, '[');
	for (uint64_t i = 0; !ret && i < nr; i++) {
		ProtobufCMessage *m;

		ret = image_read_desc(img, &ipc_msg__descriptor, &m);
		if (ret <= 0) {
			if (!ret)
				pr_err("Image %s is damaged at offset %lld: %lu messages expected, "
				       "%lu are there",
				       image_name(img), (long long)image_offset(img), nr, i);
			return -1;
		}
		ret = put_message(m, out, how);
		if (!ret) {
			uint64_t len = field_u64(m, "msize");

			ret = put_bytes(img, len, padding(len, 8), out, how);
		}
		protobuf_c_message_free_unpacked(m, NULL);
	}
	json_close(out, ']');
	return ret;
}

static int put_chunks(struct image *img, struct json_out *out, const struct decode_how *how)
{
	ProtobufCMessage *m;
	int ret;

	json_open(out, '[');
	while ((ret = image_read_desc(img, &ghost_chunk_entry__descriptor, &m)) > 0) {
		ret = put_message(m, out, how);
		if (!ret)
			ret = put_bytes(img, field_u64(m, "len"), 0, out, how);
		protobuf_c_message_free_unpacked(m, NULL);
		if (ret)
			return -1;
	}
	json_close(out, ']');
	return ret;
}

/* Everything up to the end of the file. */
static int put_rest(struct image *img, struct json_out *out, const struct decode_how *how)
{
	off_t left = image_bytes_left(img);

	if (left < 0) {
		pr_err("Image %s: how long the ghost file is cannot be seen in a pipe: use -i FILE",
		       image_name(img));
		return -1;
	}
	return put_bytes(img, left, 0, out, how);
}

int decode_extra(struct image *img, enum image_type type, const ProtobufCMessage *msg,
		 struct json_out *out, const struct decode_how *how)
{
	uint64_t len = 0;

	switch (type) {
	case IMG_PIPES_DATA:
	case IMG_FIFO_DATA:
	case IMG_SK_QUEUES:
	case IMG_TCP_STREAM:
	case IMG_IPCNS_SHM:
	case IMG_IPCNS_MSG:
	case IMG_IPCNS_SEM:
	case IMG_GHOST_FILE:
	case IMG_BPFMAP_DATA:
		json_key(out, "extra");
		break;
	default:
		return 0;
	}
	switch (type) {
	case IMG_TCP_STREAM:
		return put_tcp(img, msg, out, how);
	case IMG_IPCNS_SEM:
		return put_sem(img, msg, out);
	case IMG_IPCNS_MSG:
		return put_queue(img, msg, out, how);
	case IMG_GHOST_FILE:
		return field_u64(msg, "chunks") ? put_chunks(img, out, how)
						: put_rest(img, out, how);
	case IMG_IPCNS_SHM:
		len = field_u64(msg, "in_pagemaps") ? 0 : field_u64(msg, "size");
		return put_bytes(img, len, padding(len, 4), out, how);
	case IMG_SK_QUEUES:
		len = field_u64(msg, "length");
		break;
	case IMG_BPFMAP_DATA:
		len = field_u64(msg, "keys_bytes") + field_u64(msg, "values_bytes");
		break;
	default: /* pipes */
		len = field_u64(msg, "bytes");
	}
	return put_bytes(img, len, 0, out, how);
}

/* ---- from JSON ---- */

static struct extra_piece *add_piece(struct extra *x)
{
	if (xgrow(&x->pieces, &x->cap, x->nr, sizeof(*x->pieces)))
		return NULL;
	memset(&x->pieces[x->nr], 0, sizeof(*x->pieces));
	return &x->pieces[x->nr++];
}

static int parse_bytes(struct json_in *in, struct extra *x)
{
	struct extra_piece *p;

	if (json_string(in))
		return -1;
	p = add_piece(x);
	if (!p)
		return -1;
	p->buf = base64_decode(in->str, in->str_len, &p->len);
	if (p->buf)
		return 0;
	return json_error(in, !strncmp(in->str, "... <", 5)
				      ? "the payload was left out when this was decoded (--nopl)"
				      : "\"extra\" is no base64");
}

static int parse_tcp(struct json_in *in, struct extra *x)
{
	bool first = true;
	int ret;

	if (json_enter(in, '{') || !add_piece(x) || !add_piece(x))
		return -1;
	while ((ret = json_next(in, '}', &first)) > 0) {
		struct extra_piece *p = NULL;

		if (json_member(in))
			return -1;
		if (!strcmp(in->str, "inq"))
			p = &x->pieces[0];
		else if (!strcmp(in->str, "outq"))
			p = &x->pieces[1];
		if (!p || p->buf)
			return json_error(in, "only \"inq\" and \"outq\" belong here, once each");
		if (json_string(in))
			return -1;
		p->buf = base64_decode(in->str, in->str_len, &p->len);
		if (!p->buf)
			return json_error(in, "a queue is no base64");
	}
	return ret;
}

static int parse_sem(struct json_in *in, struct extra *x)
{
	struct extra_piece *p = add_piece(x);
	bool first = true;
	size_t cap = 0;
	int ret;

	if (!p || json_enter(in, '['))
		return -1;
	while ((ret = json_next(in, ']', &first)) > 0) {
		struct json_int v;

		if (json_integer(in, &v))
			return -1;
		if (v.negative || v.magnitude > UINT16_MAX)
			return json_error(in, "a semaphore's value is 0 to 65535");
		if (xgrow(&p->buf, &cap, p->len + 1, 1))
			return -1;
		memcpy(p->buf + p->len, &v.magnitude, 2);
		p->len += 2;
	}
	return ret;
}

/* A message, its bytes, a message, its bytes... */
static int parse_pairs(struct json_in *in, struct extra *x, const ProtobufCMessageDescriptor *desc)
{
	bool first = true;
	int ret;

	if (json_enter(in, '['))
		return -1;
	while ((ret = json_next(in, ']', &first)) > 0) {
		struct extra_piece *p;

		if (json_peek(in) != '{') {
			if (parse_bytes(in, x))
				return -1;
			continue;
		}
		p = add_piece(x);
		if (p)
			p->msg = encode_message(in, desc, NULL, NULL);
		if (!p || !p->msg)
			return -1;
	}
	return ret;
}

int extra_parse(struct json_in *in, void *arg)
{
	struct extra *x = arg;
	int c = json_peek(in);

	if (x->given)
		return json_error(in, "\"extra\" is given twice");
	x->given = true;
	switch (x->type) {
	case IMG_TCP_STREAM:
		return parse_tcp(in, x);
	case IMG_IPCNS_SEM:
		return parse_sem(in, x);
	case IMG_IPCNS_MSG:
		return parse_pairs(in, x, &ipc_msg__descriptor);
	case IMG_GHOST_FILE:
		return c == '[' ? parse_pairs(in, x, &ghost_chunk_entry__descriptor)
				: parse_bytes(in, x);
	case IMG_PIPES_DATA:
	case IMG_FIFO_DATA:
	case IMG_SK_QUEUES:
	case IMG_IPCNS_SHM:
	case IMG_BPFMAP_DATA:
		return parse_bytes(in, x);
	default:
		return json_error(in, "entries of %s have no \"extra\"", image_kinds[x->type].name);
	}
}

void extra_free(struct extra *x)
{
	for (size_t i = 0; i < x->nr; i++) {
		if (x->pieces[i].msg)
			protobuf_c_message_free_unpacked(x->pieces[i].msg, NULL);
		free(x->pieces[i].buf);
	}
	free(x->pieces);
	memset(x, 0, sizeof(*x));
}

/* Piece NR must be WANT bytes long, as the entry says. */
static int write_piece(struct image *img, const struct extra *x, size_t nr, uint64_t want,
		       unsigned padding)
{
	static const char zeros[8];
	const struct extra_piece *p = nr < x->nr ? &x->pieces[nr] : NULL;
	size_t len = p ? p->len : 0;

	if (len != want || (p && p->msg)) {
		pr_err("%s: the entry says that %lu bytes follow, \"extra\" has %zu",
		       image_name(img), want, len);
		return -1;
	}
	if (len && image_write_raw(img, p->buf, len))
		return -1;
	return image_write_raw(img, zeros, padding);
}

static int write_pairs(struct image *img, const struct extra *x, const char *len_field,
		       unsigned pad_to)
{
	for (size_t i = 0; i < x->nr; i += 2) {
		const ProtobufCMessage *m = x->pieces[i].msg;
		uint64_t len;

		if (!m) {
			pr_err("%s: \"extra\" must be pairs of an object and a string",
			       image_name(img));
			return -1;
		}
		len = field_u64(m, len_field);
		if (image_write(img, m) || write_piece(img, x, i + 1, len, padding(len, pad_to)))
			return -1;
	}
	return 0;
}

static int write_queue(struct image *img, const ProtobufCMessage *msg, const struct extra *x)
{
	if (x->nr == 2 * field_u64(msg, "qnum"))
		return write_pairs(img, x, "msize", 8);
	pr_err("%s: qnum says %lu messages, \"extra\" has %zu", image_name(img),
	       field_u64(msg, "qnum"), x->nr / 2);
	return -1;
}

int extra_write(struct image *img, const ProtobufCMessage *msg, const struct extra *x)
{
	uint64_t len;

	switch (x->type) {
	case IMG_PIPES_DATA:
	case IMG_FIFO_DATA:
		return write_piece(img, x, 0, field_u64(msg, "bytes"), 0);
	case IMG_SK_QUEUES:
		return write_piece(img, x, 0, field_u64(msg, "length"), 0);
	case IMG_BPFMAP_DATA:
		len = field_u64(msg, "keys_bytes") + field_u64(msg, "values_bytes");
		return write_piece(img, x, 0, len, 0);
	case IMG_TCP_STREAM:
		return write_piece(img, x, 0, field_u64(msg, "inq_len"), 0) ||
				       write_piece(img, x, 1, field_u64(msg, "outq_len"), 0)
			       ? -1
			       : 0;
	case IMG_IPCNS_SHM:
		len = field_u64(msg, "in_pagemaps") ? 0 : field_u64(msg, "size");
		return write_piece(img, x, 0, len, padding(len, 4));
	case IMG_IPCNS_SEM:
		len = field_u64(msg, "nsems") * 2;
		return write_piece(img, x, 0, len, padding(len, 8));
	case IMG_IPCNS_MSG:
		return write_queue(img, msg, x);
	case IMG_GHOST_FILE:
		if (field_u64(msg, "chunks"))
			return write_pairs(img, x, "len", 1);
		return x->nr ? write_piece(img, x, 0, x->pieces[0].len, 0) : 0;
	default:
		return 0;
	}
}
