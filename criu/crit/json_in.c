// SPDX-License-Identifier: GPL-2.0-only
/* The reader: a pull parser (RFC 8259) over a buffer that is refilled. */
#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "util/xmalloc.h"

#define IN_SIZE 65536

int json_in_init(struct json_in *in, int fd, const char *name)
{
	memset(in, 0, sizeof(*in));
	in->fd = fd;
	in->name = name;
	in->line = 1;
	in->buf = xmalloc(IN_SIZE);
	return in->buf ? 0 : -1;
}

void json_in_free(struct json_in *in)
{
	free(in->buf);
	free(in->str);
	in->buf = in->str = NULL;
}

int json_error(struct json_in *in, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	pr_err("%s: line %lu: %s", in->name, in->line, what);
	return -1;
}

/* 1: a byte is there, 0: the end, -1: logged. */
static int refill(struct json_in *in)
{
	ssize_t n;

	do
		n = read(in->fd, in->buf, IN_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return json_error(in, "can't read: %s", strerror(errno));
	in->pos = 0;
	in->len = n;
	return n > 0;
}

/* The next byte, consumed; -2 at the end, -1 logged. */
static int get(struct json_in *in)
{
	if (in->pos == in->len) {
		int ret = refill(in);

		if (ret <= 0)
			return ret ? -1 : -2;
	}
	return (unsigned char)in->buf[in->pos++];
}

static int get_in_value(struct json_in *in)
{
	int c = get(in);

	return c == -2 ? json_error(in, "the JSON ends in the middle of a value") : c;
}

int json_peek(struct json_in *in)
{
	for (;;) {
		char c;

		if (in->pos == in->len) {
			int ret = refill(in);

			if (ret <= 0)
				return ret;
		}
		c = in->buf[in->pos];
		if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
			return (unsigned char)c ? (unsigned char)c : 0x100;
		in->line += c == '\n';
		in->pos++;
	}
}

static int unexpected(struct json_in *in, const char *wanted, int c)
{
	if (c < 0)
		return -1;
	if (!c)
		return json_error(in, "%s expected, but the JSON ends here", wanted);
	if (c < 0x100 && isprint(c))
		return json_error(in, "%s expected, not '%c'", wanted, c);
	return json_error(in, "%s expected, not byte 0x%02x", wanted, c & 0xff);
}

int json_enter(struct json_in *in, char bracket)
{
	int c = json_peek(in);

	if (c != bracket)
		return unexpected(in, bracket == '{' ? "an object" : "a list", c);
	if (++in->depth > JSON_MAX_DEPTH)
		return json_error(in, "nested too deeply");
	in->pos++;
	return 0;
}

int json_next(struct json_in *in, char close, bool *first)
{
	int c = json_peek(in);

	if (c == close) {
		in->pos++;
		in->depth--;
		return 0;
	}
	if (*first) {
		*first = false;
		return c > 0 ? 1 : unexpected(in, "a value", c);
	}
	if (c != ',')
		return unexpected(in, close == '}' ? "',' or '}'" : "',' or ']'", c);
	in->pos++;
	return 1;
}

static int put_byte(struct json_in *in, unsigned char c)
{
	if (xgrow(&in->str, &in->str_cap, in->str_len, 1))
		return -1;
	in->str[in->str_len++] = c;
	return 0;
}

static int put_utf8(struct json_in *in, uint32_t code)
{
	if (code < 0x80)
		return put_byte(in, code);
	if (code < 0x800)
		return put_byte(in, 0xc0 | code >> 6) || put_byte(in, 0x80 | (code & 0x3f)) ? -1
											    : 0;
	if (code < 0x10000)
		return put_byte(in, 0xe0 | code >> 12) || put_byte(in, 0x80 | (code >> 6 & 0x3f)) ||
				       put_byte(in, 0x80 | (code & 0x3f))
			       ? -1
			       : 0;
	return put_byte(in, 0xf0 | code >> 18) || put_byte(in, 0x80 | (code >> 12 & 0x3f)) ||
			       put_byte(in, 0x80 | (code >> 6 & 0x3f)) ||
			       put_byte(in, 0x80 | (code & 0x3f))
		       ? -1
		       : 0;
}

static int hex4(struct json_in *in, uint32_t *v)
{
	*v = 0;
	for (int i = 0; i < 4; i++) {
		int c = get_in_value(in);

		if (c < 0)
			return -1;
		if (!isxdigit(c))
			return json_error(in, "\\u needs four hexadecimal digits");
		*v = *v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return 0;
}

static int unicode_escape(struct json_in *in)
{
	uint32_t code, low;

	if (hex4(in, &code))
		return -1;
	if (code >= 0xdc80 && code <= 0xdcff) /* a byte that was no UTF-8 */
		return put_byte(in, code - 0xdc00);
	if (code >= 0xd800 && code < 0xdc00) {
		if (get_in_value(in) != '\\' || get_in_value(in) != 'u' || hex4(in, &low) ||
		    low < 0xdc00 || low > 0xdfff)
			return json_error(in, "half a surrogate pair");
		return put_utf8(in, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
	}
	if (code >= 0xdc00 && code <= 0xdfff)
		return json_error(in, "half a surrogate pair");
	return put_utf8(in, code);
}

static int escape(struct json_in *in)
{
	static const char letters[] = "\"\\/nrtfb", meant[] = "\"\\/\n\r\t\f\b";
	int c = get_in_value(in);
	const char *p;

	if (c < 0)
		return -1;
	if (c == 'u')
		return unicode_escape(in);
	p = c ? strchr(letters, c) : NULL;
	return p ? put_byte(in, meant[p - letters]) : json_error(in, "unknown escape in a string");
}

int json_string(struct json_in *in)
{
	int c = json_peek(in);

	if (c != '"')
		return unexpected(in, "a string", c);
	in->pos++;
	in->str_len = 0;
	for (;;) {
		c = get_in_value(in);
		if (c < 0)
			return -1;
		if (c == '"')
			break;
		if (c < 0x20)
			return json_error(in, "control character in a string");
		if (c == '\\' ? escape(in) : put_byte(in, c))
			return -1;
	}
	if (put_byte(in, 0))
		return -1;
	in->str_len--;
	return 0;
}

int json_member(struct json_in *in)
{
	int c;

	if (json_string(in))
		return -1;
	c = json_peek(in);
	if (c != ':')
		return unexpected(in, "':'", c);
	in->pos++;
	return 0;
}

int json_integer(struct json_in *in, struct json_int *v)
{
	int c = json_peek(in);
	unsigned nr = 0;

	v->negative = c == '-';
	v->magnitude = 0;
	if (v->negative) {
		in->pos++;
		c = json_peek(in);
	}
	for (; c >= '0' && c <= '9'; nr++) {
		if (__builtin_mul_overflow(v->magnitude, 10, &v->magnitude) ||
		    __builtin_add_overflow(v->magnitude, c - '0', &v->magnitude))
			return json_error(in, "the number does not fit into 64 bits");
		in->pos++;
		if (in->pos == in->len) {
			int ret = refill(in);

			if (ret < 0)
				return -1;
			if (!ret)
				return 0;
		}
		c = (unsigned char)in->buf[in->pos];
	}
	if (!nr)
		return unexpected(in, "a number", c);
	if (c == '.' || c == 'e' || c == 'E')
		return json_error(in, "an integer expected, not a fraction");
	return 0;
}

static int word(struct json_in *in, const char *w)
{
	for (; *w; w++) {
		int c = get_in_value(in);

		if (c < 0)
			return -1;
		if (c != *w)
			return json_error(in, "true, false, null or a value expected");
	}
	return 0;
}

int json_bool(struct json_in *in, bool *v)
{
	int c = json_peek(in);

	if (c != 't' && c != 'f')
		return unexpected(in, "true or false", c);
	*v = c == 't';
	return word(in, *v ? "true" : "false");
}

static int skip_number(struct json_in *in)
{
	for (;;) {
		if (in->pos == in->len) {
			int ret = refill(in);

			if (ret <= 0)
				return ret;
		}
		if (!isalnum((unsigned char)in->buf[in->pos]) &&
		    (!in->buf[in->pos] || !strchr("+-.", in->buf[in->pos])))
			return 0;
		in->pos++;
	}
}

int json_skip(struct json_in *in)
{
	int c = json_peek(in), ret;
	bool first = true;
	char close = c == '{' ? '}' : ']';

	if (c == '"')
		return json_string(in);
	if (c == 't' || c == 'f')
		return word(in, c == 't' ? "true" : "false");
	if (c == 'n')
		return word(in, "null");
	if (c > 0 && c < 0x100 && (isdigit(c) || c == '-'))
		return skip_number(in);
	if (c != '{' && c != '[')
		return unexpected(in, "a value", c);
	if (json_enter(in, c))
		return -1;
	while ((ret = json_next(in, close, &first)) > 0)
		if ((c == '{' && json_member(in)) || json_skip(in))
			return -1;
	return ret;
}

int json_end(struct json_in *in)
{
	int c = json_peek(in);

	return c ? unexpected(in, "the end", c) : 0;
}
