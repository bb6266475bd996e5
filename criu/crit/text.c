// SPDX-License-Identifier: GPL-2.0-only
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

#include "util/xmalloc.h"

#define LINE_BYTES 57 /* 76 characters of base64 */
#define QP_LINE	   76

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *buf, size_t buf_len, size_t *len)
{
	const uint8_t *in = buf;
	char *text = xmalloc((buf_len + 2) / 3 * 4 + buf_len / LINE_BYTES + 2), *p = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < buf_len; i += 3) {
		size_t n = min(buf_len - i, (size_t)3);
		uint32_t v = in[i] << 16 | (n > 1 ? in[i + 1] << 8 : 0) | (n > 2 ? in[i + 2] : 0);

		*p++ = digits64[v >> 18];
		*p++ = digits64[v >> 12 & 63];
		*p++ = n > 1 ? digits64[v >> 6 & 63] : '=';
		*p++ = n > 2 ? digits64[v & 63] : '=';
		if ((i + 3) % LINE_BYTES == 0 || i + 3 >= buf_len)
			*p++ = '\n';
	}
	*p = 0;
	*len = p - text;
	return text;
}

char *base64_decode(const char *text, size_t text_len, size_t *len)
{
	char *buf = xmalloc(text_len / 4 * 3 + 4), *p = buf;
	uint32_t v = 0;
	unsigned nr = 0, padding = 0;

	for (size_t i = 0; buf && i < text_len; i++) {
		const char *d = text[i] ? strchr(digits64, text[i]) : NULL;

		if (text[i] == '\n' || text[i] == '\r' || text[i] == ' ')
			continue;
		if (text[i] == '=')
			padding++;
		else if (!d || padding)
			goto bad;
		v = v << 6 | (d ? d - digits64 : 0);
		if (++nr % 4)
			continue;
		if (padding > 2)
			goto bad;
		*p++ = v >> 16;
		if (padding < 2)
			*p++ = v >> 8;
		if (!padding)
			*p++ = v;
		v = 0;
	}
	if (!buf || nr % 4)
		goto bad;
	*p = 0;
	*len = p - buf;
	return buf;
bad:
	free(buf);
	return NULL;
}

/* A dot alone on a line, in case the text is mailed. */
static bool lone_dot(const uint8_t *in, size_t i, size_t n, size_t line)
{
	return in[i] == '.' && !line && (i + 1 == n || !in[i + 1] || in[i + 1] == '\n');
}

/*
 * As binascii.b2a_qp(quotetabs=True), but a carriage return is quoted too: Python takes one before
 * a newline for a line's end and may give back other bytes than it was given.
 */
char *quoted_encode(const void *buf, size_t buf_len, size_t *len)
{
	static const char hex[] = "0123456789ABCDEF";
	const uint8_t *in = buf;
	char *text = xmalloc(buf_len * 5 + 1), *p = text; /* "=XX" and a soft line break */
	size_t line = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < buf_len; i++) {
		uint8_t c = in[i];

		if (c == '\n') {
			*p++ = c;
			line = 0;
			continue;
		}
		if (c > 126 || c == '=' || c < 33 || lone_dot(in, i, buf_len, line)) {
			if (line + 3 >= QP_LINE) {
				*p++ = '=';
				*p++ = '\n';
				line = 0;
			}
			*p++ = '=';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
			line += 3;
			continue;
		}
		if (i + 1 != buf_len && in[i + 1] != '\n' && line + 1 >= QP_LINE) {
			*p++ = '=';
			*p++ = '\n';
			line = 0;
		}
		*p++ = c;
		line++;
	}
	*p = 0;
	*len = p - text;
	return text;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *quoted_decode(const char *text, size_t text_len, size_t *len)
{
	char *buf = xmalloc(text_len + 1), *p = buf;

	if (!buf)
		return NULL;
	for (size_t i = 0; i < text_len; i++) {
		size_t left = text_len - i;

		if (text[i] != '=') {
			*p++ = text[i];
		} else if (left >= 2 && text[i + 1] == '\n') {
			i++; /* a soft line break */
		} else if (left >= 3 && hex_digit(text[i + 1]) >= 0 &&
			   hex_digit(text[i + 2]) >= 0) {
			*p++ = hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]);
			i += 2;
		} else {
			free(buf);
			return NULL;
		}
	}
	*p = 0;
	*len = p - buf;
	return buf;
}
