// SPDX-License-Identifier: GPL-2.0-only
/* The writer: json.dump() of Python to the byte, with and without indent=4. */
#include "json.h"

#include <stdio.h>
#include <string.h>

#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define OUT_SIZE 65536

int json_out_init(struct json_out *out, int fd, bool pretty)
{
	memset(out, 0, sizeof(*out));
	out->fd = fd;
	out->pretty = pretty;
	out->buf = xmalloc(OUT_SIZE);
	return out->buf ? 0 : -1;
}

static void flush(struct json_out *out)
{
	if (!out->failed && write_full(out->fd, out->buf, out->len)) {
		pr_perror("Can't write the output");
		out->failed = true;
	}
	out->len = 0;
}

int json_out_finish(struct json_out *out)
{
	flush(out);
	free(out->buf);
	out->buf = NULL;
	return out->failed ? -1 : 0;
}

static inline void put_char(struct json_out *out, char c)
{
	if (out->len == OUT_SIZE)
		flush(out);
	out->buf[out->len++] = c;
}

static void put(struct json_out *out, const char *s, size_t len)
{
	while (len) {
		size_t part = min(len, OUT_SIZE - out->len);

		memcpy(out->buf + out->len, s, part);
		out->len += part;
		s += part;
		len -= part;
		if (out->len == OUT_SIZE)
			flush(out);
	}
}

static void new_line(struct json_out *out)
{
	static const char blanks[] = "                                ";
	size_t n = out->depth * 4;

	put_char(out, '\n');
	while (n) {
		size_t part = min(n, sizeof(blanks) - 1);

		put(out, blanks, part);
		n -= part;
	}
}

/* What stands before an item: nothing after a key, else the comma and the line. */
static void before_item(struct json_out *out)
{
	if (out->value) {
		out->value = false;
		return;
	}
	if (!out->depth)
		return;
	if (out->some[out->depth])
		put_char(out, ',');
	if (out->pretty)
		new_line(out);
	else if (out->some[out->depth])
		put_char(out, ' ');
	out->some[out->depth] = true;
}

void json_open(struct json_out *out, char bracket)
{
	before_item(out);
	put_char(out, bracket);
	if (out->depth < JSON_MAX_DEPTH - 1)
		out->depth++;
	out->some[out->depth] = false;
}

void json_close(struct json_out *out, char bracket)
{
	bool some = out->some[out->depth];

	out->depth--;
	if (some && out->pretty)
		new_line(out);
	put_char(out, bracket);
}

void json_word(struct json_out *out, const char *word)
{
	before_item(out);
	put(out, word, strlen(word));
}

static void put_number(struct json_out *out, bool negative, uint64_t v)
{
	char digits[24];
	size_t i = sizeof(digits);

	do
		digits[--i] = '0' + v % 10;
	while (v /= 10);
	if (negative)
		digits[--i] = '-';
	put(out, digits + i, sizeof(digits) - i);
}

void json_u64(struct json_out *out, uint64_t v)
{
	before_item(out);
	put_number(out, false, v);
}

void json_i64(struct json_out *out, int64_t v)
{
	before_item(out);
	put_number(out, v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void put_escape(struct json_out *out, unsigned code)
{
	char s[8];

	snprintf(s, sizeof(s), "\\u%04x", code & 0xffff);
	put(out, s, 6);
}

/* The length of the UTF-8 sequence at S and its code point; 0 where it is none (RFC 3629). */
static size_t utf8_sequence(const unsigned char *s, size_t left, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0xc2 || s[0] > 0xf4 || n > left)
		return 0;
	*code = s[0] & (0xff >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return n;
}

static size_t put_special(struct json_out *out, const unsigned char *s, size_t left)
{
	static const char plain[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
	const char *p = *s ? strchr(plain, *s) : NULL;
	uint32_t code;
	size_t n;

	if (p) {
		char esc[2] = { '\\', letters[p - plain] };

		put(out, esc, 2);
		return 1;
	}
	if (*s < 0x80) {
		put_escape(out, *s);
		return 1;
	}
	n = utf8_sequence(s, left, &code);
	if (!n) {
		put_escape(out, 0xdc00 + *s);
		return 1;
	}
	if (code >= 0x10000) {
		put_escape(out, 0xd800 + ((code - 0x10000) >> 10));
		code = 0xdc00 + ((code - 0x10000) & 0x3ff);
	}
	put_escape(out, code);
	return n;
}

static void put_string(struct json_out *out, const char *s, size_t len)
{
	size_t i = 0;

	put_char(out, '"');
	while (i < len) {
		unsigned char c = s[i];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			put_char(out, c);
			i++;
		} else {
			i += put_special(out, (const unsigned char *)s + i, len - i);
		}
	}
	put_char(out, '"');
}

void json_str(struct json_out *out, const char *s, size_t len)
{
	before_item(out);
	put_string(out, s, len);
}

void json_key(struct json_out *out, const char *key)
{
	before_item(out);
	put_string(out, key, strlen(key));
	put(out, ": ", 2);
	out->value = true;
}

void json_newline(struct json_out *out)
{
	put_char(out, '\n');
}
