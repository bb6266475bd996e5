/* SPDX-License-Identifier: GPL-2.0-only */
/* Bytes as text: base64 (RFC 2045) and quoted-printable, as Python's codecs write them. Called by decode, encode, extra. */
#ifndef CRIU_CRIT_TEXT_H
#define CRIU_CRIT_TEXT_H

#include <stddef.h>

/* Fresh strings (NUL-terminated, *LEN without it); NULL: out of memory (logged), or no such text (not logged). */
char *base64_encode(const void *buf, size_t buf_len,
		    size_t *len); /* lines of 76, a newline after each */
char *base64_decode(const char *text, size_t text_len, size_t *len);
char *quoted_encode(const void *buf, size_t buf_len, size_t *len);
char *quoted_decode(const char *text, size_t text_len, size_t *len);

#endif
