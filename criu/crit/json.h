/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON as Python's json module writes it, both ways, as a stream. Called by decode.c and encode.c.
 *
 * Why not jansson: it holds the whole document in memory, its integers end at 2^63 - 1 (images are full of 64-bit
 * masks and addresses), and it refuses the lone surrogates by which bytes that are no UTF-8 survive the round trip.
 */
#ifndef CRIU_CRIT_JSON_H
#define CRIU_CRIT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 256

/* ---- writing ---- */
struct json_out {
	int fd;
	bool pretty; /* indent by four, a line per item */
	bool failed; /* a write failed, logged once */
	unsigned depth;
	bool some[JSON_MAX_DEPTH]; /* the container at this depth has an item already */
	bool value;		   /* a key was written: its value follows on the same line */
	char *buf;
	size_t len;
};
int json_out_init(struct json_out *out, int fd, bool pretty);
/* Flushes; -1 where anything could not be written. The descriptor stays open. */
int json_out_finish(struct json_out *out);

void json_open(struct json_out *out, char bracket); /* '{' or '[' */
void json_close(struct json_out *out, char bracket);
void json_key(struct json_out *out, const char *key);
void json_u64(struct json_out *out, uint64_t v);
void json_i64(struct json_out *out, int64_t v);
void json_word(struct json_out *out, const char *word); /* true, false, numbers already in text */
/* A string; bytes that are no UTF-8 become \udc80 to \udcff, as Python's surrogateescape does. */
void json_str(struct json_out *out, const char *s, size_t len);
/* A newline after everything. */
void json_newline(struct json_out *out);

/* ---- reading ---- */
struct json_in {
	int fd;
	const char *name; /* for messages */
	unsigned long line;
	unsigned depth;
	char *buf; /* what was read */
	size_t pos, len;
	char *str; /* the last string, decoded and NUL-terminated */
	size_t str_len, str_cap;
};
/* A number of the document: only integers occur in images. */
struct json_int {
	bool negative;
	uint64_t magnitude;
};
int json_in_init(struct json_in *in, int fd, const char *name);
void json_in_free(struct json_in *in);

/* The next character that is no white space, not consumed; 0 at the end, -1 on a read error (logged). */
int json_peek(struct json_in *in);
/* Consumes the opening bracket of an object or array. -1: something else is there, logged. */
int json_enter(struct json_in *in, char bracket);
/*
 * Is there another item in the container that CLOSE ends? *FIRST is true before the first call.
 * 1: yes, 0: no, and CLOSE is consumed; -1: logged.
 */
int json_next(struct json_in *in, char close, bool *first);
/* A string into in->str. */
int json_string(struct json_in *in);
/* A string and the colon after it. */
int json_member(struct json_in *in);
int json_integer(struct json_in *in, struct json_int *v);
/* true or false. */
int json_bool(struct json_in *in, bool *v);
/* Any value, thrown away. */
int json_skip(struct json_in *in);
/* Nothing but white space may follow. */
int json_end(struct json_in *in);
/* Logs "NAME: line N: ..." and returns -1. */
int json_error(struct json_in *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
